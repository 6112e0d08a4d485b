import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { TidemarkError, UnknownName } from '../model/errors.js'
import { ranges } from '../model/partition.js'
import { noSuchPartition } from '../model/refusals.js'
import { missingGroup } from './missing-group.js'

export interface Wanted {
  readonly group?: string
  readonly stream?: string
}

/**
 * The consumers of a config that match; all of them where nothing is named.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER, listing what there is
 */
export function findConsumers({ consumers }: ParsedConfig, { group, stream }: Wanted): ParsedConsumer[] {
  const found = consumers.filter(
    ({ settings }) => (group ?? settings.group) === settings.group && (stream ?? settings.stream) === settings.stream,
  )
  if (found.length > 0) return found
  const place = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
  const missing = missingGroup(
    place,
    consumers.map(({ settings }) => settings),
  )
  throw new UnknownName(`the config has ${missing}; it has ${listed(consumers)}`, place)
}

/**
 * The one consumer that matches. The stream may be left out where the group reads only one.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER; CONFIG_INVALID where it could be several
 */
export function findConsumer(config: ParsedConfig, wanted: Wanted): ParsedConsumer {
  const found = findConsumers(config, wanted)
  if (found.length === 1) return found[0]!
  throw new TidemarkError('CONFIG_INVALID', `name the group and the stream; the config has ${listed(found)}`)
}

/** @throws TidemarkError UNKNOWN_CONSUMER for a partition that the stream does not have */
export function requirePartitions(stream: string, wanted: readonly number[], there: readonly number[]): void {
  const missing = wanted.find((partition) => !there.includes(partition))
  if (missing === undefined) return
  throw noSuchPartition({ stream, partition: missing }, ranges(there))
}

function listed(consumers: readonly ParsedConsumer[]): string {
  return consumers.map(({ settings: { group, stream } }) => `${group} on ${stream}`).join(', ')
}
