import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common'
import { upsertSearchAttributes } from '@temporalio/workflow'
import type { GroupName } from '../src/model/partition.js'

/*
 * What people can search for in the Temporal UI: `TidemarkGroup = "billing" and TidemarkState = "blocked" and ExecutionStatus = "Running"`.
 * A slice has the states of all its partitions; runs that are over keep their last ones.
 */

const groupKey = defineSearchAttributeKey('TidemarkGroup', SearchAttributeType.KEYWORD)
const streamKey = defineSearchAttributeKey('TidemarkStream', SearchAttributeType.KEYWORD)
const sliceKey = defineSearchAttributeKey('TidemarkSlice', SearchAttributeType.INT)
const stateKey = defineSearchAttributeKey('TidemarkState', SearchAttributeType.KEYWORD_LIST)

/** Search attributes that a slice's workflow starts with. */
export function sliceAttributes({ group, stream }: GroupName, slice: number, states: string[]): SearchAttributePair[] {
  return [
    { key: groupKey, value: group },
    { key: streamKey, value: stream },
    { key: sliceKey, value: slice },
    { key: stateKey, value: states },
  ]
}

/** Lets people find the group's own workflow beside its slices. One event, in its first run; later runs inherit it. */
export function showGroup({ group, stream }: GroupName): void {
  upsertSearchAttributes([
    { key: groupKey, value: group },
    { key: streamKey, value: stream },
  ])
}

/** Costs one history event, so it is called when the set of states changes and at no other time. */
export function showStates(states: string[]): void {
  upsertSearchAttributes([{ key: stateKey, value: states }])
}
