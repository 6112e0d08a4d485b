import type { TidemarkConfig } from '../config/define.js'
import { TidemarkError, UnknownName } from '../model/errors.js'
import { ranges } from '../model/partition.js'
import { offsetOutOfRange } from '../model/refusals.js'
import type { Wanted } from './find.js'
import { moveOf, type PositionPlan, planAll } from './plan.js'
import { planWith } from './reset.js'
import { inSession, type Session } from './session.js'

export interface AdoptOptions extends Wanted {
  readonly group: string
  readonly stream?: string
  /** All that the other group has offsets for when absent. */
  readonly partitions?: readonly number[]
  /** The other consumer's group in the log's own offsets. Default: the same name. */
  readonly from?: string
  /** Kind of source that this is meant for, where it was said: another one is refused. */
  readonly kind?: string
}

/**
 * Computes what it means to go on where another consumer of the log stands, by the log's own offsets. Changes nothing. The other
 * consumer must have stopped. `applyReset` does it.
 *
 * @throws TidemarkError as `planReset`; CONFIG_INVALID where the log keeps no offsets of groups; UNKNOWN_CONSUMER where that group
 * has none; GROUP_ACTIVE where the source refuses a group that is still running
 */
export function planAdoption(config: TidemarkConfig, options: AdoptOptions): Promise<PositionPlan> {
  return inSession(config, (session) => planAdoptionIn(session, options))
}

export function planAdoptionIn(
  session: Session,
  { from, kind, partitions, ...wanted }: Wanted & Omit<AdoptOptions, 'group'>,
): Promise<PositionPlan> {
  return planWith(session, wanted, async ({ source, consumer, name, identities, placesOf }) => {
    const other = from ?? name.group
    if (kind !== undefined && kind !== consumer.source.kind)
      throw new TidemarkError(
        'CONFIG_INVALID',
        `${name.stream} is a ${consumer.source.kind} stream: there is no ${kind} consumer of it to go on for`,
        { place: name },
      )
    if (!source.groupOffsets)
      throw new TidemarkError(
        'CONFIG_INVALID',
        `${name.stream} is a ${consumer.source.kind} stream, which keeps no offsets of groups: use 'tidemark reset' instead`,
        { place: name },
      )
    await source.groupOffsets.refuseActive?.(other)
    const offsets = new Map(
      (await source.groupOffsets.read(other, name.stream)).map(({ partition, position }) => [partition, position]),
    )
    if (offsets.size === 0)
      throw new UnknownName(
        `group '${other}' has no offsets on '${name.stream}' in ${consumer.source.kind}: is its name right?`,
        { group: other, stream: name.stream },
      )
    const places = (await placesOf(partitions)).filter(({ partition }) => partitions || offsets.has(partition))
    const without = places.find(({ partition }) => !offsets.has(partition))
    if (without)
      throw new UnknownName(
        `group '${other}' has no offset on partition ${without.partition} of ${name.stream}; it has some on ${ranges(offsets.keys())}`,
        { group: other, stream: name.stream, partition: without.partition },
      )
    const moves = await planAll(places, async (place) => {
      const to = offsets.get(place.partition)!
      if (to < place.first || to > place.head) throw offsetOutOfRange(place, to, place)
      return moveOf(place, to)
    })
    return { ...name, kind: 'adopted', identities, moves }
  })
}
