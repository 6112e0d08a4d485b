import { eachOf } from '../../model/each-of.js'
import type { PartitionKey } from '../../model/partition.js'
import { dateOf } from '../../model/times.js'
import type {
  CommitOutcome,
  HistoryEntry,
  MirroredOffset,
  NewPosition,
  OffsetBeginning,
  OffsetFilter,
  OffsetStoreClient,
  PartitionPosition,
  SeenOffset,
  StoredOffset,
} from '../../ports/index.js'
import type { Beside } from '../../storing/beside.js'
import { mayOverwrite } from '../../storing/foreign.js'
import { inTurn } from '../../storing/in-turn.js'
import { beginning, byName, isStill, partitionOf, replayOf, stale } from '../../storing/rules.js'
import type { CommittedOffset } from '../client/groups.js'
import type { GroupOffsets } from './group-offsets.js'
import { readNote, writeNote } from './offset-note.js'

/** What is stored, and whether Tidemark put it there. */
type Found = StoredOffset & { readonly ours: boolean }

/** Groups looked at together when all of them are: each takes a connection. */
const atOnce = 8

/**
 * A group's own offsets in Kafka, as the place where positions are kept. Kafka has no compare-and-set: what this process does
 * to a partition happens one after the other, and each write looks first. docs/decisions/0006-kafka-as-the-store.md
 */
export class KafkaOffsets implements OffsetStoreClient {
  constructor(
    private readonly offsets: GroupOffsets,
    private readonly cluster: string,
    /** Keeps what Kafka can't. */
    private readonly beside: Beside,
    private readonly end: () => Promise<void>,
  ) {}

  async migrate(): Promise<void> {
    await this.beside.open()
  }

  read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.list({ group, stream })
  }

  /** Offsets of other consumers are listed only where their stream is asked for. */
  async list({ group, stream, partition }: OffsetFilter): Promise<readonly StoredOffset[]> {
    const groups = group === undefined ? await this.offsets.names() : [group]
    const found = await eachOf(groups, atOnce, (name) => this.#all(name))
    return found
      .flat()
      .filter((row) => (stream === undefined ? row.ours : row.stream === stream))
      .filter((row) => partition === undefined || row.partition === partition)
      .sort(byName)
      .map(({ ours: _, ...row }) => row)
  }

  open(key: PartitionKey, { above, start, identity = null }: OffsetBeginning): Promise<StoredOffset> {
    return this.#change(key, async (stored) => {
      const known = await this.beside.known.of(key)
      const from = beginning(stored, known, start)
      const opened = await this.#put(key, {
        ...from,
        epoch: Math.max(stored?.epoch ?? 0, known?.epoch ?? 0, above) + 1,
        identity: stored?.identity ?? identity,
      })
      if (stored && !stored.ours && known)
        await this.beside.noteForeign(key, {
          from: known.position,
          to: from.position,
          by: 'kafka',
          why: "another client has committed this as the group's offset in Kafka",
        })
      return opened
    })
  }

  /**
   * Kafka may have forgotten the position, or show an older owner's: then whoever owns the partition puts theirs back. A position
   * that another client has put there is taken for a reset, whose replay the owner is told.
   */
  commit(
    key: PartitionKey,
    { epoch, position, replay = 0 }: { epoch: number; position: bigint; replay?: number },
  ): Promise<CommitOutcome> {
    return this.#change(key, async (stored) => {
      const newest = this.beside.known.written(key)
      if (newest && newest.epoch > Math.max(epoch, stored?.epoch ?? 0)) return stale(newest)
      if (stored && stored.epoch === epoch && stored.position <= position) {
        await this.#put(key, { ...stored, position })
        return { outcome: 'committed' }
      }
      if (!stored || stored.epoch < epoch) {
        const known = await this.beside.known.of(key)
        const own = known?.epoch === epoch && known.replay === replay
        if (own && stored && !stored.ours) return { ...stale(stored), replay: replay + 1 }
        if (own && replay >= (stored?.replay ?? 0)) {
          await this.#put(key, { position, epoch, replay, identity: stored?.identity ?? null })
          return { outcome: 'committed' }
        }
      }
      return stale(stored)
    })
  }

  async reset(key: PartitionKey, change: NewPosition): Promise<StoredOffset> {
    return (await this.#reset(key, change))!
  }

  resetIf(key: PartitionKey, seen: SeenOffset, change: NewPosition): Promise<StoredOffset | null> {
    return this.#reset(key, change, seen)
  }

  #reset(key: PartitionKey, change: NewPosition, seen?: SeenOffset): Promise<StoredOffset | null> {
    const { kind, to, by, why, identity } = change
    return this.#change(key, async (stored) => {
      if (seen && !isStill(stored, seen)) return null
      // The database is asked first: a change that nobody can be told of later is not made.
      const known = await this.beside.known.of(key)
      const { changes } = await this.beside.open()
      const now = await this.#put(key, {
        position: to,
        epoch: Math.max(stored?.epoch ?? 0, known?.epoch ?? 0) + 1,
        replay: replayOf(change, Math.max(stored?.replay ?? 0, known?.replay ?? 0)),
        identity: identity ?? stored?.identity ?? null,
      })
      await changes.add({ ...partitionOf(key), kind, from: stored?.position ?? null, to, by, why })
      return now
    })
  }

  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return this.beside.history(filter)
  }

  /** As a mirror of another store: shows what that one has, in the order of its epochs. */
  assert({ position, epoch, replay, handled = false, ...key }: MirroredOffset): Promise<bigint | null> {
    return this.#change(key, async (stored) => {
      const theirs = stored && !stored.ours ? stored.position : null
      if (!mayOverwrite(theirs, { position, handled })) return theirs
      const newer = stored?.ours && (stored.epoch > epoch || (stored.epoch === epoch && stored.position > position))
      if (!newer) await this.#put(key, { position, epoch, replay, identity: stored?.identity ?? null })
      return null
    })
  }

  foreign(group: string, stream: string): Promise<readonly PartitionPosition[]> {
    return this.offsets.foreign(group, stream)
  }

  claim(group: string, stream: string): Promise<void> {
    return this.offsets.claim(group, stream)
  }

  delete(group: string, stream: string): Promise<void> {
    return this.offsets.delete(group, stream)
  }

  async close(): Promise<void> {
    await Promise.all([this.end(), this.beside.close()])
  }

  #change<T>(key: PartitionKey, work: (stored: Found | undefined) => Promise<T>): Promise<T> {
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
    this.beside.known.wrote(key, { position, epoch, replay })
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
    updatedAt: dateOf(note?.at ?? 0),
    ours: note !== null,
  }
}
