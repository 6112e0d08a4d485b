import { offsetOutOfRange } from '../../model/refusals.js'
import type { StartSpec } from '../../model/start.js'
import type { Bounds } from '../../ports/index.js'
import { requests, type StartAt } from '../client/driver.js'
import { rabbitmqError } from '../client/failures.js'
import type { Links } from '../client/links.js'
import { readChunk, type StreamChunk } from './chunk.js'

interface Tail {
  /** The last chunk there was, of messages or of the broker's own notes. */
  readonly committed: bigint
  /** Offset behind the last message. */
  readonly head: bigint
  /** When the last message was written; null where there is none. */
  readonly timestamp: number | null
}

/** What a stream has, in offsets. */
export class Offsets {
  /** The end of each stream as last seen: it stays right for as long as the broker names the same last chunk. */
  readonly #tails = new Map<string, Tail>()
  /** When the first message of each stream was written. Retention deletes whole segments, so it stays the same for long. */
  readonly #firstTimes = new Map<string, { readonly chunk: bigint; readonly timestamp: number | null }>()

  constructor(private readonly links: Links) {}

  async bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    const found = await Promise.all(
      partitions.map((partition) =>
        this.#meaning(partition, async (stream) => [partition, await this.boundsOf(stream)] as const),
      ),
    )
    return new Map(found)
  }

  /** When the oldest message of each partition was written. Partitions that are empty, or in trouble, are left out. */
  async firstTimes(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const times = new Map<number, number>()
    const look = async (partition: number) => {
      const time = await this.#firstTime(await this.links.nameOf(partition))
      if (time !== null) times.set(partition, time)
    }
    await Promise.allSettled(partitions.map(look))
    return times
  }

  async #firstTime(stream: string): Promise<number | null> {
    const { first } = await this.chunks(stream)
    const known = this.#firstTimes.get(stream)
    if (known?.chunk === first) return known.timestamp
    const timestamp = first < 0n ? null : ((await this.#one(stream, { offset: first }))?.timestamp ?? null)
    // In a stream that is empty so far, the first message comes later without changing its first chunk.
    if (timestamp !== null) this.#firstTimes.set(stream, { chunk: first, timestamp })
    return timestamp
  }

  /** Throws OUT_OF_RANGE for an offset that the log does not have. */
  resolve(partition: number, start: StartSpec): Promise<bigint> {
    return this.#meaning(partition, async (stream) => {
      const { first, head } = await this.boundsOf(stream)
      if (start === 'first') return first
      if (start === 'next') return head
      if (start === 'last') return head === first ? head : head - 1n
      if ('timestamp' in start) return head === first ? head : this.#at(stream, start.timestamp, { first, head })
      const { offset } = start
      if (offset >= first && offset <= head) return offset
      const { name } = this.links.settings
      throw offsetOutOfRange({ stream: name, partition }, offset, { first, head })
    })
  }

  /** First offset and head of a stream. */
  async boundsOf(stream: string): Promise<Bounds> {
    const { first, committed } = await this.chunks(stream)
    if (committed < 0n || first < 0n) return { first: 0n, head: 0n }
    const { head } = await this.#tail(stream, first, committed)
    return { first: first < head ? first : head, head }
  }

  /** First and last chunk; -1 where there is none. A single question, which reads nothing. */
  async chunks(stream: string): Promise<{ readonly first: bigint; readonly committed: bigint }> {
    const link = await this.links.leaderOf(stream)
    const { rawStats } = await link.ask<{ rawStats: Readonly<Record<string, bigint>> }>(requests.stats(stream))
    const { first_chunk_id: first = -1n, committed_chunk_id: committed = -1n, last_chunk_id: last = -1n } = rawStats
    // A leader that has just been elected must hear of the others first. The log would look empty.
    if (committed < 0n && last >= 0n) throw new Error(`the broker does not know yet how far '${stream}' is committed`)
    return { first, committed }
  }

  /**
   * The chunk that holds an offset, of messages or of the broker's own notes; null where retention has deleted it. The leader is asked,
   * since each replica deletes by itself. Throws DamagedChunk.
   */
  async chunkAt(stream: string, offset: bigint): Promise<StreamChunk | null> {
    if (offset < (await this.chunks(stream)).first) return null
    const subscription = await this.links.subscribe(stream, { offset }, 'all', 'leader')
    try {
      for (;;) {
        const delivered = await subscription.here()
        const chunk = delivered && readChunk(delivered.chunk)
        if (!chunk || chunk.first > offset) return null
        if (chunk.next > offset) return chunk
      }
    } finally {
      subscription.close()
    }
  }

  /** Offset behind the last message, where it was looked for when the log had the same last chunk. */
  knownHead(stream: string, committed: bigint): bigint | undefined {
    const known = this.#tails.get(stream)
    return known?.committed === committed ? known.head : undefined
  }

  async #tail(stream: string, first: bigint, committed: bigint): Promise<Tail> {
    const known = this.#tails.get(stream)
    if (known?.committed === committed) return known
    // The chunk that the broker has named is committed, so it is sent at once; the log's last one may not be yet. Where it is a
    // note of the broker's own, the last messages are before it.
    const chunk = (await this.#one(stream, { offset: committed })) ?? (await this.#one(stream, 'last'))
    if (!chunk && (await this.#one(stream, { offset: first })))
      throw new Error(`the last messages of '${stream}' are not committed yet`)
    // A log that holds nothing but the broker's own notes: as if it were empty, where it never had anything else.
    const tail = chunk
      ? { committed, head: chunk.next, timestamp: chunk.timestamp }
      : { committed, head: first === 0n ? 0n : committed + 1n, timestamp: null }
    if (!chunk || chunk.first <= committed) this.#tails.set(stream, tail)
    return tail
  }

  /** All messages of a chunk were written at the same time, so the first chunk that is late enough begins with the answer. */
  async #at(stream: string, timestamp: number, { first, head }: Bounds): Promise<bigint> {
    const last = this.#tails.get(stream)?.timestamp
    if (timestamp <= 0) return first
    if (last != null && timestamp > last) return head
    const chunk = await this.#one(stream, { timestamp: Math.ceil(timestamp) })
    if (!chunk) return head
    return chunk.first < first ? first : chunk.first
  }

  /** The first chunk of messages from there on; null where there is none. */
  async #one(stream: string, start: StartAt): Promise<StreamChunk | null> {
    const subscription = await this.links.subscribe(stream, start, 'user', 'leader')
    try {
      for (;;) {
        const delivered = await subscription.here()
        if (!delivered) return null
        const read = readChunk(delivered.chunk)
        if (read.user) return read
      }
    } finally {
      subscription.close()
    }
  }

  async #meaning<T>(partition: number, work: (stream: string) => Promise<T>): Promise<T> {
    try {
      return await work(await this.links.nameOf(partition))
    } catch (error) {
      throw rabbitmqError(error, this.links.settings, partition)
    }
  }
}
