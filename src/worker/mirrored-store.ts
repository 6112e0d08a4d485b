import { describePartition, type PartitionKey } from '../model/partition.js'
import type {
  CommitOutcome,
  HistoryEntry,
  Log,
  MirroredOffset,
  NewPosition,
  OffsetBeginning,
  OffsetFilter,
  OffsetMirror,
  OffsetStoreClient,
  SeenOffset,
  StoredOffset,
} from '../ports/index.js'
import { Outage } from '../reading/outage.js'

/**
 * How often an idle partition's offset is written to the mirrors again, ms. Brokers forget offsets that nobody commits, Kafka after a week by
 * default and a few hours in the strictest clusters.
 */
const showAgainAfter = 30 * 60_000
const never = Number.NEGATIVE_INFINITY

interface Shown {
  /** To be shown next; null when the mirrors have it. */
  waiting: MirroredOffset | null
  /** When the mirrors last had it, ms since 1970; `never` after a failure. */
  at: number
}

/**
 * A store with mirrors. The store alone decides; the mirrors follow in the background, the latest position of each partition only,
 * and a mirror that fails stops nobody.
 */
export class MirroredStore implements OffsetStoreClient {
  readonly #shown = new Map<string, Shown>()
  #working: Promise<void> | null = null
  readonly #outage: Outage

  constructor(
    private readonly store: OffsetStoreClient,
    private readonly mirrors: readonly OffsetMirror[],
    log: Log,
    private readonly now: () => number = () => performance.now(),
  ) {
    const note = 'Nothing is lost: the store has the offsets'
    this.#outage = new Outage(log, {}, 'mirroring offsets', { note, now })
  }

  migrate(): Promise<void> {
    return this.store.migrate()
  }

  read(group: string, stream: string): Promise<readonly StoredOffset[]> {
    return this.store.read(group, stream)
  }

  list(filter: OffsetFilter): Promise<readonly StoredOffset[]> {
    return this.store.list(filter)
  }

  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]> {
    return this.store.history(filter)
  }

  assert(offset: MirroredOffset): Promise<void> {
    return this.store.assert(offset)
  }

  async open(key: PartitionKey, options: OffsetBeginning): Promise<StoredOffset> {
    const stored = await this.store.open(key, options)
    this.#show(stored)
    return stored
  }

  async commit(
    key: PartitionKey,
    commit: { epoch: number; position: bigint; replay?: number },
  ): Promise<CommitOutcome> {
    const result = await this.store.commit(key, commit)
    if (result.outcome === 'committed') this.#show({ ...key, replay: 0, ...commit })
    return result
  }

  async reset(key: PartitionKey, change: NewPosition): Promise<StoredOffset> {
    const stored = await this.store.reset(key, change)
    this.#show(stored)
    return stored
  }

  async resetIf(key: PartitionKey, seen: SeenOffset, change: NewPosition): Promise<StoredOffset | null> {
    const stored = await this.store.resetIf(key, seen, change)
    if (stored) this.#show(stored)
    return stored
  }

  /** Shows an idle partition's offset again before a broker forgets it, or when it could not be shown before. */
  async keep(key: PartitionKey): Promise<void> {
    const shown = this.#shown.get(describePartition(key))
    if (shown && (shown.waiting || this.now() - shown.at < showAgainAfter)) return
    const stored = (await this.store.read(key.group, key.stream)).find(({ partition }) => partition === key.partition)
    if (stored) this.#show(stored)
  }

  /** Waits until the mirrors have what they were told, or can't be told. They and the store belong to whoever opened them. */
  async close(): Promise<void> {
    await this.#working
  }

  #show({ group, stream, partition, position, epoch, replay }: MirroredOffset): void {
    const waiting = { group, stream, partition, position, epoch, replay }
    const name = describePartition(waiting)
    this.#shown.set(name, { waiting, at: this.#shown.get(name)?.at ?? never })
    this.#working ??= this.#work().finally(() => {
      this.#working = null
    })
  }

  async #work(): Promise<void> {
    // What comes within the same turn is shown together.
    await Promise.resolve()
    for (;;) {
      const next = [...this.#shown.values()].filter(({ waiting }) => waiting !== null)
      if (next.length === 0) return
      await Promise.all(next.map((shown) => this.#showOne(shown)))
    }
  }

  async #showOne(shown: Shown): Promise<void> {
    const offset = shown.waiting!
    shown.waiting = null
    try {
      await Promise.all(this.mirrors.map((mirror) => mirror.assert(offset)))
      shown.at = this.now()
      this.#outage.worked()
    } catch (error) {
      shown.at = never
      // Every commit tries again, without a pause.
      const { group, stream, partition } = offset
      this.#outage.failed(error, { group, stream, partition })
    }
  }
}
