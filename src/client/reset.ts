import type { TidemarkConfig } from '../config/define.js'
import type { ParsedConsumer } from '../config/parse.js'
import { isTidemarkError, TidemarkError } from '../model/errors.js'
import { describePartition } from '../model/partition.js'
import { offsetOutOfRange } from '../model/refusals.js'
import type { OffsetStoreClient, SourceClient } from '../ports/index.js'
import { answerWithin, placeOf } from './deadline.js'
import { findConsumer, requirePartitions, type Wanted } from './find.js'
import { patience } from './open-parts.js'
import { type Move, moveOf, type Place, type PositionPlan, planAll } from './plan.js'
import { isOfEarlierStream, logState } from './positions.js'
import { inSession, type Session } from './session.js'
import type { ResetTarget } from './target.js'

export interface ResetOptions extends Wanted {
  readonly group: string
  /** May be left out where the group reads only one stream. */
  readonly stream?: string
  /** All partitions of the stream when absent. */
  readonly partitions?: readonly number[]
  readonly to: ResetTarget
}

/**
 * Computes where a reset would put a group's positions, and what that means. Changes nothing, and needs no worker.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER, UNREACHABLE, STREAM_NOT_FOUND; OUT_OF_RANGE where a partition does not have the offset
 */
export async function planReset(config: TidemarkConfig, options: ResetOptions): Promise<PositionPlan> {
  return inSession(config, (session) => planResetIn(session, options))
}

/** As `planReset`, in a session. The group may be left out where the config has only one. */
export function planResetIn(
  session: Session,
  { partitions, to, ...wanted }: Wanted & Pick<ResetOptions, 'partitions' | 'to'>,
): Promise<PositionPlan> {
  return planWith(session, wanted, async ({ source, placesOf, identities, earlier, name }) => {
    const places = await placesOf(partitions)
    const moves = await planAll(places, (place) => moveTo(source, place, to, earlier.has(place.partition)))
    const since = typeof to === 'object' && 'timestamp' in to ? { since: to.timestamp } : {}
    return { ...name, kind: 'reset', identities, moves, ...since }
  })
}

/** The same with an offset of its own for each partition. Those that are not named stay where they are. */
export function planOffsetsIn(
  session: Session,
  { offsets, ...wanted }: Wanted & { readonly offsets: ReadonlyMap<number, bigint> },
): Promise<PositionPlan> {
  return planWith(session, wanted, async ({ source, placesOf, identities, earlier, name }) => {
    const places = await placesOf([...offsets.keys()])
    const moves = await planAll(places, (place) => {
      const offset = offsets.get(place.partition)!
      return moveTo(source, place, { offset }, earlier.has(place.partition))
    })
    return { ...name, kind: 'reset', identities, moves }
  })
}

/** What planning a change of positions needs to know. */
export interface Ground {
  readonly name: { readonly group: string; readonly stream: string }
  readonly consumer: ParsedConsumer
  readonly source: SourceClient
  /** Of each partition's stream; null where the log does not say. */
  readonly identities: ReadonlyMap<number, string | null>
  /** Partitions whose stored position is of an earlier stream of the same name. */
  readonly earlier: ReadonlySet<number>
  /** Throws UNKNOWN_CONSUMER for a partition that there is not. */
  placesOf(partitions: readonly number[] | undefined): Promise<Place[]>
}

/** Opens the store, then the stream, and lends what they say. */
export async function planWith(
  session: Session,
  wanted: Wanted,
  plan: (ground: Ground) => Promise<PositionPlan>,
): Promise<PositionPlan> {
  const consumer = findConsumer(session.config, wanted)
  const store = await session.store()
  const source = await session.source(consumer)
  return answerWithin(
    placeOf(consumer.source),
    survey(consumer, store, source).then((ground) => plan(ground)),
    4 * patience,
  )
}

async function survey(consumer: ParsedConsumer, store: OffsetStoreClient, source: SourceClient): Promise<Ground> {
  const { group, stream } = consumer.settings
  const [rows, log] = await Promise.all([store.read(group, stream), logState(source)])
  const stored = new Map(rows.map((row) => [row.partition, row]))
  return {
    name: { group, stream },
    consumer,
    source,
    identities: log.identities,
    earlier: new Set(rows.filter((row) => isOfEarlierStream(row, log)).map(({ partition }) => partition)),
    placesOf: async (partitions) => {
      if (partitions) requirePartitions(stream, partitions, log.partitions)
      return [...new Set(partitions ?? log.partitions)]
        .sort((a, b) => a - b)
        .map((partition) => ({
          stream,
          partition,
          from: stored.get(partition)?.position ?? null,
          ...log.bounds.get(partition)!,
        }))
    },
  }
}

async function moveTo(source: SourceClient, place: Place, to: ResetTarget, earlier: boolean): Promise<Move> {
  const known = earlier ? { ...place, from: null } : place
  const move =
    typeof to === 'object' && 'by' in to
      ? await moveBy(source, known, to.by)
      : typeof to === 'object' && 'offset' in to
        ? await moveToOffset(source, known, to.offset)
        : moveOf(known, to === 'first' ? place.first : await source.resolve(place.partition, to))
  return earlier ? { ...move, from: place.from, remark: 'it was of an earlier stream of that name' } : move
}

async function moveBy(source: SourceClient, place: Place, by: bigint): Promise<Move> {
  const { from, first, head, stream, partition } = place
  if (from === null)
    throw new TidemarkError(
      'OUT_OF_RANGE',
      `${describePartition({ stream, partition })} has no position yet to go from by ${by}: choose first, last, next, an offset or a time`,
      { place: { stream, partition } },
    )
  const to = from + by
  if (to < first) return moveOf(place, first, `that is the first: ${to} is not in the log`)
  // Not the head itself: what is not yet visible below it must not be passed over.
  if (to > head)
    return moveOf(place, await source.resolve(partition, 'next'), `that is the head: ${to} is not written yet`)
  return moveOf(place, to)
}

async function moveToOffset(source: SourceClient, place: Place, offset: bigint): Promise<Move> {
  const { first, head, partition } = place
  if (offset >= first && offset <= head) return moveOf(place, offset)
  // A log whose offsets begin anywhere takes 0 for its beginning; one that has lost its first messages does not.
  if (offset > 0n) throw offsetOutOfRange(place, offset, place)
  await source.resolve(partition, { offset }).catch((error) => {
    throw isTidemarkError(error) && error.code === 'OUT_OF_RANGE' ? offsetOutOfRange(place, offset, place) : error
  })
  return moveOf(place, offset, first > 1n ? `the log begins at ${first}` : '')
}
