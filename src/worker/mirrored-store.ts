import { messageOf } from '../model/errors.js'
import { describePartition, type GroupName, type PartitionKey, ranges } from '../model/partition.js'
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
  PartitionPosition,
  SeenOffset,
  StoredOffset,
} from '../ports/index.js'
import { Outage } from '../reading/outage.js'
import { foreignText } from './foreign-text.js'

/**
 * How often an idle partition's offset is written to the mirrors again, ms. Brokers forget offsets that nobody commits, Kafka after a week by
 * default and a few hours in the strictest clusters.
 */
const showAgainAfter = 30 * 60_000
const never = Number.NEGATIVE_INFINITY

interface Shown {
  /** What was shown last, or is waiting to be. */
  latest: MirroredOffset
  /** To be shown next; null when the mirrors have it. */
  waiting: MirroredOffset | null
  /** When the mirrors last had it, ms since 1970; `never` after a failure. */
  at: number
}

/**
 * A store with mirrors. The store alone decides; the mirrors follow in the background, the latest position of each partition only,
 * and a mirror that fails stops nobody. A position that another consumer has left in a mirror stays there, and the log says so once,
 * until the group has handled past it or a person decides.
 */
export class MirroredStore implements OffsetStoreClient {
  readonly #shown = new Map<string, Shown>()
  #working: Promise<void> | null = null
  readonly #outage: Outage
  #toldOfForeign = false

  constructor(
    private readonly store: OffsetStoreClient,
    private readonly mirrors: readonly OffsetMirror[],
    private readonly log: Log,
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

  assert(offset: MirroredOffset): Promise<bigint | null> {
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
    // Also a batch that has come across no message commits, at the position where it began.
    const handled = this.#shown.get(describePartition(key))?.latest.position !== commit.position
    if (result.outcome === 'committed') this.#show({ ...key, replay: 0, ...commit, handled })
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

  async delete(group: string, stream: string): Promise<void> {
    await this.store.delete?.(group, stream)
  }

  /** Shows an idle partition's offset again before a broker forgets it, or when it could not be shown before. */
  async keep(key: PartitionKey): Promise<void> {
    const shown = this.#shown.get(describePartition(key))
    if (shown && (shown.waiting || this.now() - shown.at < showAgainAfter)) return
    const stored = (await this.store.read(key.group, key.stream)).find(({ partition }) => partition === key.partition)
    if (stored) this.#show(stored)
  }

  /** Looks for positions that other consumers have left under the group's name, and tells the log. Never rejects. */
  async lookForForeign({ group, stream }: GroupName): Promise<void> {
    try {
      const found = await Promise.all(this.mirrors.map((mirror) => mirror.foreign?.(group, stream) ?? []))
      if (found.flat().length === 0) return
      const stored = new Map((await this.store.read(group, stream)).map((row) => [row.partition, row.position]))
      const theirs = found.flat().filter(({ partition, position }) => stored.get(partition) !== position)
      if (theirs.length > 0) this.#tellOfForeign({ group, stream }, theirs)
    } catch (error) {
      // Nothing depends on it: each partition's own mirroring looks again.
      this.log.debug({ group, stream, error: messageOf(error) }, 'could not look for offsets of other consumers')
    }
  }

  /** Lets the mirrors overwrite what other consumers have left under the group's name. Throws as the mirrors. */
  async claimForeign({ group, stream }: GroupName): Promise<void> {
    for (const mirror of this.mirrors) await mirror.claim?.(group, stream)
  }

  #tellOfForeign({ group, stream }: GroupName, foreign: readonly PartitionPosition[]): void {
    if (this.#toldOfForeign) return
    this.#toldOfForeign = true
    const partitions = ranges(foreign.map(({ partition }) => partition))
    this.log.warn({ group, stream, partitions }, foreignText({ group, stream }, foreign))
  }

  /** Waits until the mirrors have what they were told, or can't be told. They and the store belong to whoever opened them. */
  async close(): Promise<void> {
    await this.#working
  }

  #show({ group, stream, partition, position, epoch, replay, handled = false }: MirroredOffset): void {
    const name = describePartition({ stream, partition })
    const before = this.#shown.get(name)
    const was = before?.latest
    // Within a replay positions do not go back, so the next owner begins at what was handled.
    const still = was?.handled === true && was.replay === replay
    const waiting = { group, stream, partition, position, epoch, replay, handled: handled || still }
    this.#shown.set(name, { latest: waiting, waiting, at: before?.at ?? never })
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
      const foreign = (await Promise.all(next.map((shown) => this.#showOne(shown)))).filter((one) => one !== null)
      if (foreign.length > 0) this.#tellOfForeign(next[0]!.latest, foreign)
    }
  }

  /** Returns the position of another consumer that was left as it is. */
  async #showOne(shown: Shown): Promise<PartitionPosition | null> {
    const offset = shown.waiting!
    shown.waiting = null
    try {
      const left = await Promise.all(this.mirrors.map((mirror) => mirror.assert(offset)))
      shown.at = this.now()
      this.#outage.worked()
      const theirs = left.find((position) => position !== null)
      return theirs === undefined ? null : { partition: offset.partition, position: theirs }
    } catch (error) {
      shown.at = never
      // Every commit tries again, without a pause.
      const { group, stream, partition } = offset
      this.#outage.failed(error, { group, stream, partition })
      return null
    }
  }
}
