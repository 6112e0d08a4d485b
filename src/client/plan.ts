import { eachOf } from '../model/each-of.js'
import { isTidemarkError, TidemarkError } from '../model/errors.js'
import type { Bounds, OffsetChange, SeenOffset } from '../ports/index.js'

/** Partitions planned at the same time: some targets take a request to the log. */
const lanes = 16

/** Where positions are to be moved, computed for every partition before anything is changed. */
export interface PositionPlan {
  readonly group: string
  readonly stream: string
  readonly kind: OffsetChange['kind']
  /** The incarnation of each partition's stream that the new positions belong to. */
  readonly identities: ReadonlyMap<number, string | null>
  readonly moves: readonly Move[]
  /** Where the positions are those of a time: that, in ms since 1970. */
  readonly since?: number
  /** The ownership that the plan counts on, by partition: where it is another one by then, the position is not moved. */
  readonly seen?: ReadonlyMap<number, SeenOffset>
}

export interface Move {
  readonly partition: number
  /** The stored position; null where nothing is stored yet. */
  readonly from: bigint | null
  readonly to: bigint
  /** Offsets that will be handled again, and those that will not be handled. Upper bounds where offsets have gaps. */
  readonly again: bigint
  readonly skipped: bigint
  /** What people should know about it; empty where nothing is. */
  readonly remark: string
}

export interface Place extends Bounds {
  readonly stream: string
  readonly partition: number
  readonly from: bigint | null
}

/** What moving a position to `to` means. */
export function moveOf({ partition, from, first, head }: Place, to: bigint, remark = ''): Move {
  // What lies before the first offset can be neither handled again nor skipped any more.
  const start = to > first ? to : first
  const before = from === null ? to : from > head ? head : from
  const again = from === null || before <= start ? 0n : before - start
  const skipped = from === null || to <= before ? 0n : to - (before > first ? before : first)
  return { partition, from, to, again, skipped: skipped > 0n ? skipped : 0n, remark }
}

/**
 * Computes all moves, and refuses them together: nothing is changed when one partition can't be put there.
 *
 * @throws TidemarkError OUT_OF_RANGE, naming the first partition of those and its range
 */
export async function planAll(
  places: readonly Place[],
  planOne: (place: Place) => Promise<Move>,
): Promise<readonly Move[]> {
  const planned = await eachOf(places, lanes, (place) =>
    planOne(place).then(
      (move) => ({ move }),
      (error: unknown) => ({ error }),
    ),
  )
  const failures = planned.flatMap((one) => ('error' in one ? [one.error] : []))
  if (failures.length === 0) return planned.flatMap((one) => ('move' in one ? [one.move] : []))
  const [failure] = failures
  if (!isTidemarkError(failure) || failure.code !== 'OUT_OF_RANGE') throw failure
  const others = failures.length > 1 ? ` (and it can't be done in ${failures.length - 1} other partitions)` : ''
  throw new TidemarkError(failure.code, `${failure.message}${others}; nothing was changed`, { place: failure.place })
}
