import { eachOf } from '../../model/each-of.js'
import type { PartitionKey } from '../../model/partition.js'
import { dateOf } from '../../model/times.js'
import type {
  CommitOutcome,
  HistoryEntry,
  MirroredOffset,
  NewPosition,
  NotedPartition,
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
import { furthest, type Known } from '../../storing/last-known.js'
import { beginning, byName, isStill, partitionOf, replayOf, stale } from '../../storing/rules.js'
import { type FoundRecord, foreignIn, shownFor } from './offset-record.js'
import type { Records } from './records.js'

/** A partition's position as the stream has it, and whether Tidemark put it there. */
type Found = Known & { readonly at: number; readonly ours: boolean; readonly shown: bigint | null }

/** Streams looked at together when all of them are. */
const atOnce = 8

/**
 * The offset tracking of RabbitMQ's streams as the place where positions are kept. RabbitMQ has no compare-and-set: what this process does
 * to a partition happens one after the other, and each write looks first. docs/decisions/0007-rabbitmq-tracking-as-the-store.md
 */
export class RabbitmqOffsets implements OffsetStoreClient {
  constructor(
    private readonly records: Records,
    private readonly broker: string,
    /** Keeps what the broker can't. */
    private readonly beside: Beside,
  ) {}

  async migrate(): Promise<void> {
    await this.beside.open()
  }

  /** What a stream has lost, or took along when it was deleted, is told by the progress of the handlers. */
  async read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    const [noted, all] = await Promise.all([this.#noted({ group, stream }), this.records.all(group, stream)])
    const numbers = new Set([...all.keys(), ...noted.map(({ partition }) => partition)])
    const rows = await Promise.all(
      [...numbers].map(async (partition) => {
        const note = noted.find((one) => one.partition === partition)
        const found = foundIn(all[partition], note) ?? (note && furthest(note, await this.beside.known.of(note)))
        return found ? rowOf({ group, stream, partition }, found, note?.identity ?? null) : null
      }),
    )
    return rows.filter((row) => row !== null).sort(byName)
  }

  /** The broker can't say which groups there are: listed are those that have had an owner here. */
  async list({ partition, ...filter }: OffsetFilter): Promise<readonly StoredOffset[]> {
    const { group, stream } = filter
    const noted = group !== undefined && stream !== undefined ? [{ group, stream }] : await this.#noted(filter)
    const waiting = new Map(noted.map((one) => [JSON.stringify([one.group, one.stream]), one])).values()
    const found = (await eachOf(waiting, atOnce, (one) => this.read(one.group, one.stream))).flat()
    return found.filter((row) => partition === undefined || row.partition === partition).sort(byName)
  }

  open(key: PartitionKey, { above, start, identity = null }: OffsetBeginning): Promise<StoredOffset> {
    return this.#change(key, async ({ found: tracked }) => {
      const { note, known } = await this.#lastKnown(key)
      const found = foundIn(tracked, note)
      const { position, replay } = beginning(found, known, start)
      const epoch = Math.max(found?.epoch ?? 0, known?.epoch ?? 0, above) + 1
      const opened = await this.#put(key, { position, replay, epoch }, tracked, note?.identity ?? identity)
      if (found && !found.ours && known)
        await this.beside.noteForeign(key, {
          from: known.position,
          to: position,
          by: 'rabbitmq',
          why: "another client has stored this as the group's offset in RabbitMQ",
        })
      return opened
    })
  }

  /** The broker may have lost what was stored last: then whoever owns the partition puts theirs back. */
  commit(
    key: PartitionKey,
    { epoch, position, replay = 0 }: { epoch: number; position: bigint; replay?: number },
  ): Promise<CommitOutcome> {
    return this.#change(key, async ({ found, ours }) => {
      const newest = this.beside.known.written(key)
      if (newest && newest.epoch > Math.max(epoch, ours?.epoch ?? 0)) return stale(newest)
      if (ours && ours.epoch === epoch && ours.position <= position) {
        // Each time something is stored, the log grows.
        if (ours.position < position) await this.#write(key, { position, epoch, replay: ours.replay }, found)
        return { outcome: 'committed' }
      }
      if (!ours || ours.epoch < epoch) {
        const { known } = await this.#lastKnown(key)
        const own = known?.epoch === epoch && known.replay === replay
        if (own && replay >= (ours?.replay ?? 0)) {
          await this.#write(key, { position, epoch, replay }, found)
          return { outcome: 'committed' }
        }
      }
      return stale(ours)
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
    return this.#change(key, async ({ found: tracked }) => {
      // The database is asked first: a change that nobody can be told of later is not made.
      const { changes } = await this.beside.open()
      const { note, known } = await this.#lastKnown(key)
      const found = foundIn(tracked, note) ?? (note ? known : null)
      if (seen && !isStill(found, seen)) return null
      const epoch = Math.max(found?.epoch ?? 0, known?.epoch ?? 0) + 1
      const replay = replayOf(change, Math.max(found?.replay ?? 0, known?.replay ?? 0))
      const belongs = identity ?? note?.identity ?? null
      const now = await this.#put(key, { position: to, epoch, replay }, tracked, belongs)
      await changes.add({ ...partitionOf(key), kind, from: found?.position ?? null, to, by, why })
      return now
    })
  }

  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return this.beside.history(filter)
  }

  /** As a mirror of another store: shows what that one has, in the order of its epochs. */
  assert({ position, epoch, replay, handled = false, ...key }: MirroredOffset): Promise<bigint | null> {
    return this.#change(key, async ({ found, ours }) => {
      if (ours && (ours.epoch > epoch || (ours.epoch === epoch && ours.position > position))) return null
      const theirs = foreignIn(found)
      if (!mayOverwrite(theirs, { position, handled })) return theirs
      const same = ours && ours.epoch === epoch && ours.position === position && ours.replay === replay
      // The broker may have dropped what it shows.
      if (same && found.shown === shownFor(position, found.shown)) return null
      await this.#put(key, { position, epoch, replay }, found, null)
      return null
    })
  }

  async foreign(group: string, stream: string): Promise<readonly PartitionPosition[]> {
    return (await this.records.all(group, stream)).flatMap((found, partition) => {
      const position = foreignIn(found)
      return position === null ? [] : [{ partition, position }]
    })
  }

  async claim(group: string, stream: string): Promise<void> {
    const at = Date.now()
    await Promise.all(
      (await this.foreign(group, stream)).map(({ partition, position }) =>
        this.records.put({ group, stream, partition }, { position, epoch: 0, replay: 0, at }, position - 1n),
      ),
    )
  }

  async close(): Promise<void> {
    this.records.close()
    await this.beside.close()
  }

  #change<T>(
    key: PartitionKey,
    work: (now: { readonly found: FoundRecord; readonly ours: Found | undefined }) => Promise<T>,
  ): Promise<T> {
    const { group, stream, partition } = key
    return inTurn(JSON.stringify([this.broker, group, stream, partition]), async () => {
      const found = await this.records.one(key)
      return work({ found, ours: foundIn({ ...found, shown: null }, undefined) })
    })
  }

  async #noted(filter: OffsetFilter): Promise<readonly NotedPartition[]> {
    return (await this.beside.open()).partitions.list(filter)
  }

  /** What is known besides what the stream says. */
  async #lastKnown(key: PartitionKey): Promise<{ readonly note?: NotedPartition; readonly known: Known | null }> {
    const [note] = await this.#noted(partitionOf(key))
    const known = await this.beside.known.of(key)
    return note ? { note, known: furthest(note, known) } : { known }
  }

  async #put(key: PartitionKey, known: Known, found: FoundRecord, identity: string | null): Promise<StoredOffset> {
    const row = rowOf(key, { ...known, at: await this.#write(key, known, found) }, identity)
    const { partitions } = await this.beside.open()
    // Afterwards: what could not be done is not to be taken up later.
    await partitions.note(row)
    return row
  }

  async #write(key: PartitionKey, known: Known, { shown }: FoundRecord): Promise<number> {
    const at = Date.now()
    await this.records.put(key, { ...known, at }, shown)
    this.beside.known.wrote(key, known)
    return at
  }
}

/** Offsets that another client has left are a position like any other, before the first ownership; where Tidemark was, they are not. */
function foundIn(found: FoundRecord | undefined, note: NotedPartition | undefined): Found | undefined {
  if (!found) return undefined
  const { shown, record } = found
  if (record) return { ...record, shown, ours: true }
  if (shown === null || note) return undefined
  return { position: shown + 1n, epoch: 0, replay: 0, at: 0, shown, ours: false }
}

function rowOf(
  key: PartitionKey,
  { position, epoch, replay, at = 0 }: Known & { readonly at?: number },
  identity: string | null,
): StoredOffset {
  const { group, stream, partition } = key
  return { group, stream, partition, position, epoch, replay, identity, updatedAt: dateOf(at) }
}
