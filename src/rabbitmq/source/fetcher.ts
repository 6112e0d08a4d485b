import { TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import {
  corruptData,
  positionOfEarlierStream,
  positionOutOfRange,
  readingStopped,
  TruncatedLog,
} from '../../model/refusals.js'
import type { ByteLoan, Log, ReadOptions } from '../../ports/index.js'
import { Outage } from '../../reading/outage.js'
import { rabbitmqError } from '../client/failures.js'
import type { Delivered, Subscription } from '../client/link.js'
import type { Links } from '../client/links.js'
import { DamagedChunk, memoryOf, readChunk, type StreamChunk } from './chunk.js'
import { stillHolds } from './chunk-witness.js'
import type { Incarnations } from './incarnations.js'
import type { Offsets } from './offsets.js'
import { Window } from './window.js'

/** One chunk, paid for with its part of what was borrowed from the worker's memory. */
export interface Fetched {
  readonly chunk: StreamChunk
  readonly head: bigint
  readonly loan: ByteLoan
}

/** Treat a retryable error as permanent after this many in a row. */
const patience = 5
/** Right after a restart a broker may not know yet how far the log goes. */
const rangePatience = 3
/** Chunks asked for at once, where they are small: a stream that is written slowly has one for each message. */
const mostChunks = 500
/** Chunks that were asked for and have not come after so long, ms, are not in the log yet. */
const quietMs = 100
/** Bytes that may wait to be taken at the tail of the log, where nobody has paid for them before they came. */
const lingering = 64 * 1024
/** Share of `fetchBytes` to ask for: chunks that are a little larger than the last ones shall find room, too. */
const share = 0.75

/** What one `fetch` looks for, and what has failed in a row. */
interface Attempt {
  readonly from: bigint
  /** Of the chunk that holds the message before; null where it is not known, or can't be checked. */
  witness: string | null
  final: number
  damaged: number
}

/** A subscription, and the position that it goes on at. */
interface Place {
  readonly of: Subscription
  next: bigint
  /** While the log's chunk that it names was not compared yet. */
  witness: string | null
}

/** Fetches one partition chunk by chunk. Gets over everything that passes by itself. */
export class Fetcher {
  readonly #outage: Outage
  #subscription: Place | null = null
  #window: Window | null = null
  /** Bytes of the largest chunk among those last asked for. */
  #largest = 0
  /** Nothing was in the log behind what was last taken. */
  #atTail = false
  /** Which of all streams that had this name is read; null where nobody can tell. */
  #incarnation: string | null
  /** When that was last asked for. */
  #asked: Subscription | null = null

  constructor(
    private readonly links: Links,
    private readonly offsets: Offsets,
    private readonly incarnations: Incarnations,
    private readonly options: ReadOptions,
    log: Log,
  ) {
    const { key } = options
    this.#outage = new Outage(log, { ...key }, `reading ${describePartition(key)}`)
    this.#incarnation = options.identity ?? null
  }

  /**
   * Waits until there is a chunk with something at or behind `from`, and returns it; null when the reader ends.
   *
   * @param witness of the chunk that holds the message before, if it is known: each subscription begins with that chunk, and nothing is
   *   read of a log that has another one there
   * @throws TidemarkError OUT_OF_RANGE, CORRUPT_DATA, STREAM_NOT_FOUND or AUTH_FAILED
   */
  async fetch(from: bigint, witness: string | null = null): Promise<Fetched | null> {
    const { signal } = this.options
    const attempt: Attempt = { from, witness: from > 0n ? witness : null, final: 0, damaged: 0 }
    try {
      while (!signal.aborted) {
        const got = await this.#try(attempt)
        if (got instanceof TidemarkError) throw got
        if (got) return got
      }
      return null
    } catch (error) {
      if (signal.aborted) return null
      throw error
    }
  }

  /** The chunk that begins at `from`, if it has arrived already. */
  arrived(from: bigint): Fetched | null {
    const subscription = this.#subscription
    const delivered = subscription?.of.arrived
    if (!subscription || subscription.next !== from || !delivered) return null
    const chunk = readable(delivered.chunk)
    // What is not simply the next one is for `fetch` to look into.
    if (!chunk?.user || chunk.first !== from) return null
    subscription.of.take()
    return this.#taken(subscription, chunk, delivered)
  }

  close(): void {
    this.#subscription?.of.close()
    this.#subscription = null
    this.#window?.end()
    this.#window = null
  }

  async #try(attempt: Attempt): Promise<Fetched | TidemarkError | null> {
    const { key, signal } = this.options
    const { from } = attempt
    try {
      const stream = await this.links.nameOf(key.partition)
      const subscription = await this.#at(stream, attempt)
      await this.#want(subscription.of)
      const delivered = await this.#arrival(subscription.of)
      signal.throwIfAborted()
      const chunk = readChunk(delivered.chunk)
      if (subscription.witness !== null) await this.#sameLog(stream, subscription, chunk)
      signal.throwIfAborted()
      this.#outage.worked()
      // The broker begins with the chunk that was asked for, and may send others before it.
      if (!chunk.user || chunk.next <= from) {
        this.#passed(subscription.of, chunk, delivered)
        return null
      }
      // A stream that was empty has no name before its first message.
      if (this.#incarnation === null && this.#asked !== subscription.of) {
        this.#asked = subscription.of
        await this.#sameStream(stream, from)
      }
      // Offsets are missing: the broker's own notes take some, or retention was quicker than this reader.
      if (chunk.first > from) await this.#inRange(stream, from)
      signal.throwIfAborted()
      return this.#taken(subscription, chunk, delivered)
    } catch (error) {
      const compared = !this.#subscription?.witness
      this.close()
      if (signal.aborted) return null
      if (error instanceof DamagedChunk && ++attempt.damaged > 1) {
        if (compared) return this.#corrupt(error, from)
        // What was handled may be damaged since, as long as what comes now is not.
        Object.assign(attempt, { witness: null, damaged: 0 })
      }
      const meaning = error instanceof DamagedChunk ? null : rabbitmqError(error, this.links.settings, key.partition)
      const enough = meaning?.code === 'OUT_OF_RANGE' ? rangePatience : patience
      if (meaning?.effect === 'stop' && ++attempt.final > enough) return readingStopped(key, from, meaning)
      await this.#outage.pause(error, signal)
      return null
    }
  }

  #corrupt({ offset, message }: DamagedChunk, from: bigint): TidemarkError {
    return corruptData(this.options.key, offset > from ? offset : from, { what: 'the chunk', why: message })
  }

  #taken(subscription: Place, chunk: StreamChunk, delivered: Delivered): Fetched {
    subscription.next = chunk.next
    const head = delivered.committed > chunk.next ? delivered.committed : chunk.next
    return { chunk, head, loan: this.#lent(subscription.of, chunk, delivered, memoryOf(chunk)) }
  }

  /** Nothing of the chunk is handed out. That the log had nothing behind it stays true. */
  #passed(subscription: Subscription, chunk: StreamChunk, delivered: Delivered): void {
    const atTail = this.#atTail
    this.#lent(subscription, chunk, delivered, 0)
    this.#atTail ||= atTail
  }

  #lent(subscription: Subscription, chunk: StreamChunk, delivered: Delivered, memory: number): ByteLoan {
    const { length } = delivered.chunk
    this.#largest = Math.max(this.#largest, length)
    this.#atTail = delivered.committed === chunk.first
    const loan = this.#window!.take(length, memory)
    if (subscription.idle) this.#window!.end()
    else if (this.#atTail && !subscription.arrived) this.#rest(subscription)
    return loan
  }

  /** Waits for the next chunk. One that is not in the log yet must not hold memory that other partitions need. */
  async #arrival(subscription: Subscription): Promise<Delivered> {
    const quiet = setTimeout(() => this.#rest(subscription), quietMs)
    try {
      return await subscription.next(this.options.signal)
    } finally {
      clearTimeout(quiet)
    }
  }

  #rest(subscription: Subscription): void {
    this.#window?.rest()
    subscription.linger(lingering)
  }

  /**
   * Asks for the next chunks once all others are taken, and borrows the memory for them first. As many as come close to
   * `fetchBytes` if they are like those before: the handler gets what has arrived meanwhile in one call. At the tail of the log that is
   * one chunk, and what it takes is borrowed when it is here: partitions that wait for messages hold nothing, however many they are.
   */
  async #want(subscription: Subscription): Promise<void> {
    if (!subscription.idle) return
    const { signal, budget, fetchBytes } = this.options
    const bytes = this.#atTail ? 0 : fetchBytes
    const loan = await budget.take(bytes, signal)
    this.#window = new Window(loan, bytes)
    signal.throwIfAborted()
    if (this.#atTail) return subscription.want(1, Number.POSITIVE_INFINITY)
    const alike = this.#largest === 0 ? 1 : Math.floor((fetchBytes * share) / this.#largest)
    this.#largest = 0
    subscription.want(Math.min(Math.max(1, alike), mostChunks), fetchBytes)
  }

  /** The subscription that goes on at `from`: the one there is, as a rule. */
  async #at(stream: string, { from, witness }: Attempt): Promise<Place> {
    if (this.#subscription?.next === from && !this.#subscription.of.spent) return this.#subscription
    this.close()
    await this.#inRange(stream, from)
    const offset = witness === null ? from : from - 1n
    const subscription = { of: await this.links.subscribe(stream, { offset }), next: from, witness }
    this.#subscription = subscription
    if (this.options.signal.aborted) this.close()
    await this.#sameStream(stream, from)
    return subscription
  }

  /** Throws OUT_OF_RANGE for a stream that was created again while it was read: it may be longer than what was handled. */
  async #sameStream(stream: string, from: bigint): Promise<void> {
    const now = await this.incarnations.of(stream).catch(() => null)
    const before = this.#incarnation
    this.#incarnation ??= now
    if (before === null || now === null || before === now) return
    throw positionOfEarlierStream(this.options.key, from)
  }

  /**
   * Throws OUT_OF_RANGE where the log was written anew below what was read. RabbitMQ leaves it to the system when data reaches the disk: a
   * log that has lost its end in a power failure, or was restored from an earlier state, gives the same offsets to other messages.
   */
  async #sameLog(stream: string, place: Place, chunk: StreamChunk): Promise<void> {
    const { next: from, witness } = place
    if (witness === null || chunk.next < from) return
    if (!(await stillHolds(witness, from, chunk, (offset) => this.offsets.chunkAt(stream, offset)))) {
      await this.#sameStream(stream, from)
      throw new TruncatedLog(this.options.key, from, null)
    }
    place.witness = null
  }

  /** Throws OUT_OF_RANGE where the broker would silently begin elsewhere, or stay silent. */
  async #inRange(stream: string, from: bigint): Promise<void> {
    const { first, committed } = await this.offsets.chunks(stream)
    this.#atTail = from > committed || from === this.offsets.knownHead(stream, committed)
    if (from >= first && from <= committed) return
    const bounds = await this.offsets.boundsOf(stream)
    if (from >= bounds.first && from <= bounds.head) return
    throw positionOutOfRange(this.options.key, from, bounds)
  }
}

function readable(bytes: Buffer): StreamChunk | null {
  try {
    return readChunk(bytes)
  } catch {
    return null
  }
}
