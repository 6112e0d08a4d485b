import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common'
import { upsertSearchAttributes } from '@temporalio/workflow'
import type { Mode } from '../src/model/commands.js'

/*
 * What people can search for in the Temporal UI: `TidemarkGroup = "billing" and TidemarkState = "blocked"`.
 */

const groupKey = defineSearchAttributeKey('TidemarkGroup', SearchAttributeType.KEYWORD)
const streamKey = defineSearchAttributeKey('TidemarkStream', SearchAttributeType.KEYWORD)
const partitionKey = defineSearchAttributeKey('TidemarkPartition', SearchAttributeType.INT)
const stateKey = defineSearchAttributeKey('TidemarkState', SearchAttributeType.KEYWORD)

/** Search attributes that a partition's workflow starts with. */
export function partitionAttributes(
  group: string,
  stream: string,
  partition: number,
  mode: Mode,
): SearchAttributePair[] {
  return [
    { key: groupKey, value: group },
    { key: streamKey, value: stream },
    { key: partitionKey, value: partition },
    { key: stateKey, value: mode },
  ]
}

/** Lets the group's own workflow be found beside its partitions'. One event, in its first run; later runs inherit it. */
export function showGroup(group: string, stream: string): void {
  upsertSearchAttributes([
    { key: groupKey, value: group },
    { key: streamKey, value: stream },
  ])
}

/** Costs one history event, so it is called when the mode changes and at no other time. */
export function showMode(mode: Mode): void {
  upsertSearchAttributes([{ key: stateKey, value: mode }])
}

/** Workflow time as ISO text. The SDK makes `Date` deterministic inside workflows. */
export function now(): string {
  return new Date().toISOString()
}
