import type { PartitionKey } from '../../model/partition.js'
import type {
  CommitOutcome,
  DatabaseClient,
  MirroredOffset,
  NewPosition,
  OffsetChange,
  OffsetFilter,
  OffsetStoreClient,
  StoredOffset,
} from '../../ports.js'
import type { GroupOffsets } from '../../sources/kafka/group-offsets.js'
import type { CommittedOffset } from '../../sources/kafka/groups.js'
import { readNote, writeNote } from '../../sources/kafka/offset-note.js'
import { inTurn } from './in-turn.js'

/** What is stored, and whether Tidemark put it there. */
type Found = StoredOffset & { readonly ours: boolean }

/** Groups looked at together when all of them are: each takes a connection. */
const atOnce = 8

/**
 * A group's own offsets in Kafka, as the place where positions are kept. Kafka has no compare-and-set: what this process does
 * to a partition happens one after the other, and each write looks first. docs/decisions/0006-kafka-as-the-store.md
 */
export class KafkaOffsets implements OffsetStoreClient {
  #database: Promise<DatabaseClient> | null = null

  constructor(
    private readonly offsets: GroupOffsets,
    private readonly cluster: string,
    private readonly openDatabase: () => Promise<DatabaseClient>,
    private readonly end: () => Promise<void>,
  ) {}

  /** The database that keeps what Kafka can't. Opening it brings its tables up to date. */
  database(): Promise<DatabaseClient> {
    this.#database ??= this.openDatabase().catch((error) => {
      this.#database = null
      throw error
    })
    return this.#database
  }

  async migrate(): Promise<void> {
    await this.database()
  }

  read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.list({ group, stream })
  }

  /** Offsets of other consumers are listed only where their stream is asked for. */
  async list({ group, stream, partition }: OffsetFilter): Promise<readonly StoredOffset[]> {
    const groups = group === undefined ? await this.offsets.names() : [group]
    const waiting = [...groups]
    const found: Found[] = []
    const some = Array.from({ length: atOnce }, async () => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) found.push(...(await this.#all(name)))
    })
    await Promise.all(some)
    return found
      .filter((row) => (stream === undefined ? row.ours : row.stream === stream))
      .filter((row) => partition === undefined || row.partition === partition)
      .sort((a, b) => inOrder(a.group, b.group) || inOrder(a.stream, b.stream) || a.partition - b.partition)
      .map(({ ours: _, ...row }) => row)
  }

  open(
    key: PartitionKey,
    { above, start, identity = null }: { above: number; start: bigint; identity?: string | null },
  ): Promise<StoredOffset> {
    return this.#change(key, (stored) =>
      this.#put(key, {
        position: stored?.position ?? start,
        epoch: Math.max(stored?.epoch ?? 0, above) + 1,
        replay: stored?.replay ?? 0,
        identity: stored?.identity ?? identity,
      }),
    )
  }

  commit(key: PartitionKey, { epoch, position }: { epoch: number; position: bigint }): Promise<CommitOutcome> {
    return this.#change(key, async (stored) => {
      if (stored && stored.epoch === epoch && stored.position <= position) {
        await this.#put(key, { ...stored, position })
        return { outcome: 'committed' }
      }
      return {
        outcome: 'stale',
        epoch: stored?.epoch ?? 0,
        position: stored?.position ?? 0n,
        replay: stored?.replay ?? 0,
      }
    })
  }

  async reset(key: PartitionKey, { kind, to, by, why, identity }: NewPosition): Promise<StoredOffset> {
    // First of all: a change that nobody can be told of later is not made.
    const { changes } = await this.database()
    return this.#change(key, async (stored) => {
      const now = await this.#put(key, {
        position: to,
        epoch: (stored?.epoch ?? 0) + 1,
        replay: (stored?.replay ?? 0) + 1,
        identity: identity ?? stored?.identity ?? null,
      })
      await changes.add({ ...partitionOf(key), kind, from: stored?.position ?? null, to, by, why })
      return now
    })
  }

  async history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly OffsetChange[]> {
    return (await this.database()).changes.list(filter)
  }

  /** As a mirror of another store: shows what that one has, in the order of its epochs. */
  assert({ position, epoch, replay, ...key }: MirroredOffset): Promise<void> {
    return this.#change(key, async (stored) => {
      const newer = stored && (stored.epoch > epoch || (stored.epoch === epoch && stored.position > position))
      if (!newer) await this.#put(key, { position, epoch, replay, identity: stored?.identity ?? null })
    })
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => null)
    await Promise.all([this.end(), database?.close()])
  }

  #change<T>(key: PartitionKey, work: (stored: StoredOffset | undefined) => Promise<T>): Promise<T> {
    const { group, stream, partition } = key
    return inTurn(JSON.stringify([this.cluster, group, stream, partition]), async () => {
      const all = await this.#all(group)
      return work(all.find((row) => row.stream === stream && row.partition === partition))
    })
  }

  async #all(group: string): Promise<Found[]> {
    return (await this.offsets.committed(group)).map((committed) => foundOf(group, committed))
  }

  async #put(
    key: PartitionKey,
    { position, epoch, replay, identity }: Pick<StoredOffset, 'position' | 'epoch' | 'replay' | 'identity'>,
  ): Promise<StoredOffset> {
    const { group, stream, partition } = key
    const updatedAt = new Date()
    const metadata = writeNote({ epoch, replay, identity, at: updatedAt.getTime() })
    await this.offsets.commit(group, { topic: stream, partition, position, metadata })
    return { group, stream, partition, position, epoch, replay, identity, updatedAt }
  }
}

/** Offsets that another consumer has left are a position like any other: before the first ownership. */
function foundOf(group: string, { topic, partition, position, metadata }: CommittedOffset): Found {
  const note = readNote(metadata)
  return {
    group,
    stream: topic,
    partition,
    position,
    epoch: note?.epoch ?? 0,
    replay: note?.replay ?? 0,
    identity: note?.identity ?? null,
    updatedAt: new Date(note?.at ?? 0),
    ours: note !== null,
  }
}

function partitionOf({ group, stream, partition }: PartitionKey): PartitionKey {
  return { group, stream, partition }
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
