import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { messageOf, TidemarkError } from '../model/errors.js'
import { ranges } from '../model/partition.js'
import type { HistoryEntry, OffsetStoreClient, StoredOffset } from '../ports/index.js'
import type { Wanted } from './find.js'
import { answerWithin, placeOf } from './once.js'
import { openDatabase, openSource, openStore, patience, using } from './open.js'
import { isOfEarlierStream, type LogState, logState, sumOfLag } from './positions.js'

/** A group on a stream as the store knows it, whether the config has it or not. */
export interface KnownGroup {
  readonly group: string
  readonly stream: string
  readonly partitions: number
  /** Null where the config has no source of that stream, or it does not answer. */
  readonly lag: bigint | null
  readonly lastCommit: Date
}

/**
 * The groups that a config's store knows.
 *
 * @returns besides, a note about each stream that could not be asked for its head
 * @throws TidemarkError UNKNOWN_CONSUMER for what neither the config nor the store knows
 */
export async function knownGroups(
  config: ParsedConfig,
  wanted: Wanted,
): Promise<{ readonly groups: KnownGroup[]; readonly notes: string[] }> {
  const rows = await using(openStore(config), async (store) => {
    const all = await store.list({})
    if (wanted.group !== undefined || wanted.stream !== undefined)
      requireKnown(wanted, pairsOf([...all, ...configured(config)]))
    return all.filter((row) => fits(wanted, row))
  })
  const pairs = pairsOf(rows)
  const logs = new Map<ParsedConsumer, LogState>()
  const notes: string[] = []
  const sources = new Set(pairs.flatMap((pair) => sourceFor(config, pair) ?? []))
  await Promise.all(
    [...sources].map(async (consumer) => {
      try {
        const look = using(openSource(consumer), (source) => logState(source))
        logs.set(consumer, await answerWithin(placeOf(consumer.source), look, patience))
      } catch (error) {
        notes.push(`the lag on ${consumer.settings.stream} is unknown: ${messageOf(error)}`)
      }
    }),
  )
  const groups = pairs.map(({ group, stream }) => {
    const theirs = rows.filter((row) => row.group === group && row.stream === stream)
    const log = logs.get(sourceFor(config, { group, stream })!)
    return {
      group,
      stream,
      partitions: theirs.length,
      lag: log ? sumOfLag(theirs.map((row) => ({ lag: lagOf(row, log) }))) : null,
      lastCommit: new Date(Math.max(...theirs.map(({ updatedAt }) => updatedAt.getTime()))),
    }
  })
  return { groups, notes }
}

/**
 * What people and policies did to groups and their positions, newest first. With a partition, the entries about the whole group are included.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for what neither the config nor the store knows
 */
export function changesOf(
  config: ParsedConfig,
  { partition, limit, ...wanted }: Wanted & { readonly partition?: number; readonly limit: number },
): Promise<readonly HistoryEntry[]> {
  return using(openStore(config), async (store) => {
    await requireHistory(config, store, wanted, partition)
    return store.history({ ...wanted, ...(partition === undefined ? {} : { partition }), limit })
  })
}

async function requireHistory(
  config: ParsedConfig,
  store: OffsetStoreClient,
  wanted: Wanted,
  partition: number | undefined,
): Promise<void> {
  const [offsets, records] = await Promise.all([
    store.list({}),
    using(openDatabase(config), ({ groups }) => groups.list({})),
  ])
  requireKnown(wanted, pairsOf([...offsets, ...records, ...configured(config)]))
  if (partition === undefined) return
  // A partition may have been paused before it had an offset.
  const recorded = records.flatMap(({ group, stream, partitions }) =>
    partitions.map((known) => ({ group, stream, partition: known })),
  )
  const rows = [...offsets, ...recorded]
  const stored = [...new Set(rows.filter((row) => fits(wanted, row)).map((row) => row.partition))].sort((a, b) => a - b)
  if (stored.includes(partition)) return
  const of = [wanted.group, wanted.stream].filter((name) => name !== undefined).join(' on ') || 'it'
  throw new TidemarkError(
    'UNKNOWN_CONSUMER',
    `the store has no partition ${partition} of ${of}; it has ${ranges(stored)}`,
    { place: { partition } },
  )
}

interface Pair {
  readonly group: string
  readonly stream: string
}

function configured({ consumers }: ParsedConfig): Pair[] {
  return consumers.map(({ settings: { group, stream } }) => ({ group, stream }))
}

function fits({ group, stream }: Wanted, pair: Pair): boolean {
  return (group ?? pair.group) === pair.group && (stream ?? pair.stream) === pair.stream
}

function pairsOf(rows: readonly Pair[]): Pair[] {
  const named = new Map(rows.map(({ group, stream }) => [JSON.stringify([group, stream]), { group, stream }]))
  return [...named.values()]
}

function requireKnown(wanted: Wanted, pairs: readonly Pair[]): void {
  if (pairs.some((pair) => fits(wanted, pair))) return
  const list = pairs.map(({ group, stream }) => `${group} on ${stream}`).join(', ') || 'nothing yet'
  throw new TidemarkError('UNKNOWN_CONSUMER', `there is no such group or stream; there is ${list}`, {
    place: {
      ...(wanted.group === undefined ? {} : { group: wanted.group }),
      ...(wanted.stream === undefined ? {} : { stream: wanted.stream }),
    },
  })
}

/** The group's own source; else another group's of the same stream, where there is only one kind of it. */
function sourceFor({ consumers }: ParsedConfig, { group, stream }: Pair): ParsedConsumer | undefined {
  const readers = consumers.filter(({ settings }) => settings.stream === stream)
  const own = readers.find(({ settings }) => settings.group === group)
  if (own) return own
  const places = new Set(readers.map(({ source }) => placeOf(source)))
  return places.size === 1 ? readers[0] : undefined
}

function lagOf(row: StoredOffset, log: LogState): bigint | null {
  const head = log.bounds.get(row.partition)?.head
  if (head === undefined || isOfEarlierStream(row, log)) return null
  return head > row.position ? head - row.position : 0n
}
