import type { GroupName } from '../model/partition.js'
import type { Bounds, OffsetStoreClient, SourceClient, StoredOffset } from '../ports/index.js'
import { agesAt } from './age.js'

/** How far a group has come in one partition, by its store and the log; needs no worker. Null where nobody says. */
export interface PartitionPosition {
  readonly partition: number
  /** The committed position: of the next message to be handled, as far as the store knows. */
  readonly committed: bigint | null
  readonly first: bigint | null
  readonly head: bigint | null
  /** head - committed. Where offsets have gaps (Postgres streams, compaction, transactions), not more messages than that. */
  readonly lag: bigint | null
  /** Age of the oldest message that is not handled, ms; 0 where there is none. */
  readonly timeLagMs: number | null
  readonly updatedAt: Date | null
  readonly epoch: number | null
  readonly replay: number | null
  /** What is strange about it, for people; empty where nothing is. */
  readonly remark: string
}

/** What the log says of itself. */
export interface LogState {
  readonly partitions: readonly number[]
  readonly bounds: ReadonlyMap<number, Bounds>
  /** Of each partition's stream; null where the log does not say. */
  readonly identities: ReadonlyMap<number, string | null>
}

export async function logState(source: SourceClient): Promise<LogState> {
  const partitions = await source.partitions()
  const named = partitions.map(async (partition) => [partition, await source.identity(partition)] as const)
  const [bounds, identities] = await Promise.all([source.bounds(partitions), Promise.all(named)])
  return { partitions, bounds, identities: new Map(identities) }
}

/** A stored position of another incarnation of the stream means nothing in this one. */
export function isOfEarlierStream(
  stored: Pick<StoredOffset, 'identity' | 'partition'>,
  { identities }: Pick<LogState, 'identities'>,
): boolean {
  const identity = identities.get(stored.partition) ?? null
  return stored.identity !== null && identity !== null && stored.identity !== identity
}

/** Every partition that the log or the store knows, in order. One of them may be missing: then its part stays null. */
export async function readPositions(
  name: GroupName,
  from: { readonly store: OffsetStoreClient | null; readonly source: SourceClient | null },
  { ages = true }: { readonly ages?: boolean } = {},
): Promise<PartitionPosition[]> {
  const [rows, log] = await Promise.all([
    from.store?.read(name.group, name.stream) ?? [],
    from.source ? logState(from.source) : null,
  ])
  const stored = new Map(rows.map((row) => [row.partition, row]))
  const partitions = [...new Set([...(log?.partitions ?? []), ...stored.keys()])].sort((a, b) => a - b)
  const lost = from.source && log ? await lostAtZero(from.source, rows, log) : new Set<number>()
  const positions = partitions.map((partition) =>
    positionOf(partition, stored.get(partition), log, lost.has(partition)),
  )
  if (!from.source || !ages) return positions
  const behind = positions.flatMap(({ partition, committed, first, lag }) =>
    committed !== null && first !== null && lag !== null && lag > 0n
      ? [{ key: { ...name, partition }, position: committed > first ? committed : first }]
      : [],
  )
  const found = await agesAt(from.source, behind)
  return positions.map((one) => ({ ...one, timeLagMs: one.lag === 0n ? 0 : (found.get(one.partition) ?? null) }))
}

/**
 * Partitions that stand at 0 where the log no longer begins there. In a log whose first offset may be any (a Postgres stream) 0 is
 * just its beginning: only the source knows.
 */
async function lostAtZero(source: SourceClient, rows: readonly StoredOffset[], log: LogState): Promise<Set<number>> {
  const lost = new Set<number>()
  for (const { partition, position } of rows) {
    if (position > 0n || (log.bounds.get(partition)?.first ?? 0n) === 0n) continue
    await source.resolve(partition, { offset: position }).catch(() => lost.add(partition))
  }
  return lost
}

function positionOf(
  partition: number,
  stored: StoredOffset | undefined,
  log: LogState | null,
  lost: boolean,
): PartitionPosition {
  const bounds = log?.bounds.get(partition)
  const committed = stored?.position ?? null
  const head = bounds?.head ?? null
  const earlier = stored !== undefined && log !== null && isOfEarlierStream(stored, log)
  return {
    partition,
    committed,
    first: bounds?.first ?? null,
    head,
    lag: head === null || committed === null || earlier ? null : head > committed ? head - committed : 0n,
    timeLagMs: null,
    updatedAt: stored?.updatedAt ?? null,
    epoch: stored?.epoch ?? null,
    replay: stored?.replay ?? null,
    remark: earlier
      ? 'the stream was created again since: this position means nothing in it'
      : remarkOf(committed, bounds, log, lost),
  }
}

function remarkOf(committed: bigint | null, bounds: Bounds | undefined, log: LogState | null, lost: boolean): string {
  if (!log) return ''
  if (!bounds) return 'the stream has no such partition'
  if (committed === null) return 'nothing committed yet'
  if (committed > bounds.head) return `beyond the log, which ends at ${bounds.head}`
  if (lost || (committed < bounds.first && committed > 0n))
    return `the log begins at ${bounds.first}: what lay before it is gone`
  return ''
}

/** The sum of what is known; null where nothing is. */
export function sumOfLag(positions: readonly { readonly lag: bigint | null }[]): bigint | null {
  const known = positions.flatMap(({ lag }) => (lag === null ? [] : [lag]))
  return known.length === 0 ? null : known.reduce((sum, lag) => sum + lag, 0n)
}

/** The greatest time lag that is known; null where none is. */
export function greatestAge(positions: readonly { readonly timeLagMs: number | null }[]): number | null {
  const known = positions.flatMap(({ timeLagMs }) => (timeLagMs === null ? [] : [timeLagMs]))
  return known.length === 0 ? null : Math.max(...known)
}
