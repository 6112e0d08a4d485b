import type { GroupName, PartitionKey } from '../../model/partition.js'
import type {
  CommitOutcome,
  HistoryEntry,
  MirroredOffset,
  NewPosition,
  NotedPartition,
  OffsetBeginning,
  OffsetFilter,
  OffsetStoreClient,
  SeenOffset,
  StoredOffset,
} from '../../ports/index.js'
import type { StoredRecord } from '../../storing/group-records.js'
import { isStill, replayOf } from '../../storing/rules.js'

const nameOf = ({ group, stream, partition }: PartitionKey) => JSON.stringify([group, stream, partition])

/** Whether a row passes a filter. */
export function matches({ group, stream, partition }: OffsetFilter): (row: MatchedRow) => boolean {
  return (row) =>
    (group === undefined || group === row.group) &&
    (stream === undefined || stream === row.stream) &&
    (partition === undefined || partition === row.partition)
}

type MatchedRow = GroupName & { readonly partition?: number | null }

/** What all clients of one memory store share. */
export class Memory {
  readonly offsets = new Map<string, StoredOffset>()
  readonly groups = new Map<string, StoredRecord>()
  readonly #history: HistoryEntry[] = []
  readonly #partitions = new Map<string, NotedPartition>()

  note(entry: Omit<HistoryEntry, 'at'>, at = new Date()): void {
    this.#history.unshift({ ...entry, at })
  }

  history({ limit, ...filter }: OffsetFilter & { readonly limit: number }): readonly HistoryEntry[] {
    const { partition, ...group } = filter
    return this.#history
      .filter(matches(group))
      .filter((entry) => partition === undefined || entry.partition === null || entry.partition === partition)
      .slice(0, limit)
  }

  notePartition(noted: NotedPartition): void {
    const old = this.#partitions.get(nameOf(noted))
    this.#partitions.set(nameOf(noted), { ...noted, identity: noted.identity ?? old?.identity ?? null })
  }

  partitions(filter: OffsetFilter): readonly NotedPartition[] {
    return [...this.#partitions.values()].filter(matches(filter))
  }
}

/** Offsets in the memory of this process, with the rules of a real store. */
export class MemoryOffsets implements OffsetStoreClient {
  constructor(private readonly memory: Memory) {}

  async migrate(): Promise<void> {}

  async read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.list({ group, stream })
  }

  async list(filter: OffsetFilter): Promise<readonly StoredOffset[]> {
    return [...this.memory.offsets.values()]
      .filter(matches(filter))
      .sort((a, b) => compare(a.group, b.group) || compare(a.stream, b.stream) || a.partition - b.partition)
  }

  async open(key: PartitionKey, { above, start, replay = 0, identity = null }: OffsetBeginning): Promise<StoredOffset> {
    const old = this.memory.offsets.get(nameOf(key))
    return this.#put(key, {
      position: old?.position ?? start,
      epoch: Math.max(above, old?.epoch ?? 0) + 1,
      replay: old?.replay ?? replay,
      identity: old?.identity ?? identity,
    })
  }

  async commit(key: PartitionKey, { epoch, position }: { epoch: number; position: bigint }): Promise<CommitOutcome> {
    const stored = this.memory.offsets.get(nameOf(key))
    if (!stored || stored.epoch !== epoch || stored.position > position)
      return {
        outcome: 'stale',
        epoch: stored?.epoch ?? 0,
        position: stored?.position ?? 0n,
        replay: stored?.replay ?? 0,
      }
    this.#put(key, { ...stored, position })
    return { outcome: 'committed' }
  }

  async resetIf(key: PartitionKey, seen: SeenOffset, change: NewPosition): Promise<StoredOffset | null> {
    const old = this.memory.offsets.get(nameOf(key))
    return isStill(old, seen) ? this.reset(key, change) : null
  }

  async reset(key: PartitionKey, change: NewPosition): Promise<StoredOffset> {
    const { kind, to, by, why, identity } = change
    const old = this.memory.offsets.get(nameOf(key))
    const { group, stream, partition } = key
    this.memory.note({ group, stream, partition, kind, from: old?.position ?? null, to, by, why })
    return this.#put(key, {
      position: to,
      epoch: (old?.epoch ?? 0) + 1,
      replay: replayOf(change, old?.replay ?? 0),
      identity: identity ?? old?.identity ?? null,
    })
  }

  async history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return this.memory.history(filter)
  }

  async assert({ position, epoch, replay, ...key }: MirroredOffset): Promise<null> {
    const old = this.memory.offsets.get(nameOf(key))
    if (old && (old.epoch > epoch || (old.epoch === epoch && old.position > position))) return null
    this.#put(key, { position, epoch, replay, identity: old?.identity ?? null })
    return null
  }

  async delete(group: string, stream: string): Promise<void> {
    for (const row of await this.list({ group, stream })) this.memory.offsets.delete(nameOf(row))
  }

  async close(): Promise<void> {}

  #put(
    { group, stream, partition }: PartitionKey,
    { position, epoch, replay, identity }: Omit<StoredOffset, keyof PartitionKey | 'updatedAt'>,
  ): StoredOffset {
    const stored = { group, stream, partition, position, epoch, replay, identity, updatedAt: new Date() }
    this.memory.offsets.set(nameOf(stored), stored)
    return stored
  }
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
