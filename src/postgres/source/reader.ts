import type pg from 'pg'
import { describePartition } from '../../model/partition.js'
import { positionOutOfRange } from '../../model/refusals.js'
import type { ByteLoan, Chunk, Reader, ReadOptions } from '../../ports/index.js'
import { type ChunkDecoder, chunkDecoder } from '../../reading/chunk-decoder.js'
import type { Outage } from '../../reading/outage.js'
import { isOutage, postgresError } from '../client/pool.js'
import { unlessAborted, within } from '../client/waiting.js'
import type { Tables } from '../tables/event-tables.js'
import type { Arrivals } from './arrivals.js'
import { witnessOf } from './event-witness.js'
import { bytesOf, fetchRows } from './fetch.js'
import { Fetched } from './fetched.js'
import { LogCheck } from './log-check.js'
import type { PostgresStreamSettings } from './options.js'
import type { SafePosition } from './safe-position.js'
import type { UncountedEvents } from './uncounted-events.js'

/** What all readers of a stream share. */
export interface ReaderParts<V> {
  readonly pool: pg.Pool
  readonly tables: Tables
  readonly settings: PostgresStreamSettings<V>
  readonly safe: SafePosition
  readonly uncounted: UncountedEvents
  readonly arrivals: Arrivals
  readonly outage: Outage
  /** Aborted when the source's client closes. */
  readonly closed: AbortSignal
}

/** At the tail events come one by one: a fetch there borrows no more than this many bytes. */
const tailBytes = 64 * 1024
const mostRows = 10_000
const averageAtFirst = 1_024

/** Reads one partition, one fetch ahead of the chunk that is being handled. */
export class PostgresReader<V> implements Reader<V> {
  /** Where the next fetch begins. */
  #position: bigint
  #current: Fetched<V> | undefined
  #ahead: Promise<Fetched<V> | null> | undefined
  #average = averageAtFirst
  #atTail = false
  /** Whether the position was seen to be one that the log has, or gives next. */
  #known = false
  /** A reader that finds nothing at first was likely told of something that it can't read. */
  #isFirstWait = true
  #isFresh = true
  readonly #check: LogCheck
  readonly #decoder: ChunkDecoder<V>
  readonly #ended = new AbortController()

  constructor(
    private readonly parts: ReaderParts<V>,
    from: bigint,
    private readonly options: ReadOptions,
  ) {
    this.#position = from
    this.#decoder = chunkDecoder(parts.settings.decoding)
    this.#check = new LogCheck(parts, options.key, options.witness)
    for (const signal of [options.signal, parts.closed]) {
      if (signal.aborted) this.#ended.abort()
      else signal.addEventListener('abort', this.#end, { once: true })
    }
  }

  async arrived(waitMs: number): Promise<boolean> {
    if (this.#ended.signal.aborted) return false
    if (this.#current && !this.#current.served) return true
    const fetched = await within(this.#fetchAhead(), waitMs, this.#ended.signal).catch((error) => {
      // The next call tries again.
      this.#ahead = undefined
      throw error
    })
    if (!fetched || this.#ended.signal.aborted) return false
    this.#ahead = undefined
    this.#current = fetched
    void this.#fetchAhead()
    return true
  }

  async next({ maxMessages, waitMs }: { maxMessages: number; waitMs: number }): Promise<Chunk<V> | null> {
    return (await this.arrived(waitMs)) ? this.#current!.serve(maxMessages) : null
  }

  async close(): Promise<void> {
    this.#end()
    await this.#ahead?.catch(() => {})
  }

  readonly #end = () => {
    for (const signal of [this.options.signal, this.parts.closed]) signal.removeEventListener('abort', this.#end)
    this.#ended.abort()
    this.#current?.drop()
    this.#current = undefined
    this.#ahead?.then(
      (fetched) => fetched?.drop(),
      () => {},
    )
  }

  #fetchAhead(): Promise<Fetched<V> | null> {
    if (this.#ahead === undefined) {
      this.#ahead = this.#fetch()
      // It is awaited by a later `next`, or by nobody.
      this.#ahead.catch(() => {})
    }
    return this.#ahead
  }

  /** The partition's next rows, or null when the reader ends first. */
  async #fetch(): Promise<Fetched<V> | null> {
    const { safe, uncounted, arrivals, outage, settings } = this.parts
    const { key, budget, fetchBytes } = this.options
    const signal = this.#ended.signal
    while (!signal.aborted) {
      let loan: ByteLoan | undefined
      try {
        // A reader that begins may do so since the log was set back: what was safe before says nothing then.
        if (this.#isFresh || this.#position > safe.known) {
          await unlessAborted(safe.look(), signal)
          await this.#requireInLog()
          this.#isFresh = false
        }
        if (!this.#check.covers(safe.server)) await unlessAborted(this.#check.look(this.#position), signal)
        if (this.#position <= safe.known) {
          const wanted = this.#atTail ? Math.min(fetchBytes, tailBytes) : fetchBytes
          loan = await budget.take(wanted, signal)
          // Whatever still comes after an abort is thrown away, and its loan is given back by then.
          const fetched = await unlessAborted(this.#select(loan, wanted), signal)
          outage.worked()
          if (fetched) return fetched
        }
        this.#atTail = true
        if (this.#isFirstWait || uncounted.has(key.partition)) await unlessAborted(uncounted.refuse(key), signal)
        this.#isFirstWait = false
        await arrivals.wait(key.partition, this.#position, signal)
      } catch (error) {
        loan?.release()
        if (signal.aborted) return null
        if (!isOutage(error)) throw postgresError(error, settings)
        await outage.pause(error, signal)
      }
    }
    return null
  }

  /**
   * A log that was set back ends before the position. What is written there next would be passed over.
   *
   * @throws Error where the reader was within the log before: handlers' progress may have been set back with it, and says where to go on
   * @throws TidemarkError OUT_OF_RANGE, CORRUPT_DATA
   */
  async #requireInLog(): Promise<void> {
    const { taken } = this.parts.safe
    if (this.#position <= taken + 1n) {
      this.#known = true
      return
    }
    const { key } = this.options
    await unlessAborted(this.parts.uncounted.refuse(key), this.#ended.signal)
    if (this.#known)
      throw new Error(
        `${describePartition(key)} was set back: its last position is ${taken}, and ${this.#position} was the next to be read; ` +
          'reading begins again where the progress is',
      )
    throw positionOutOfRange(key, this.#position, { first: 0n, head: taken + 1n })
  }

  /** Rows from the position on, or null (and the loan given back) when there are none up to the safe position. */
  async #select(loan: ByteLoan, maxBytes: number): Promise<Fetched<V> | null> {
    const { pool, tables, safe } = this.parts
    const asked = safe.server
    const { stream, partition } = this.options.key
    const maxRows = Math.max(1, Math.min(mostRows, Math.ceil(maxBytes / this.#average)))
    const from = this.#position
    const { rows, head, server } = await fetchRows(pool, tables, {
      stream,
      partition,
      from,
      safe: safe.known,
      maxRows,
      maxBytes,
    })
    // What is safe on one server says nothing of another, which may give the same positions again.
    if (rows.length > 0 && server !== asked) await unlessAborted(safe.look(), this.#ended.signal)
    if (rows.length === 0 || server !== asked || !this.#check.covers(asked)) {
      loan.release()
      return null
    }
    this.#known = true
    this.#isFirstWait = false
    const bytes = rows.reduce((sum, row) => sum + bytesOf(row), 0)
    loan.resize(bytes)
    this.#average = Math.max(1, bytes / rows.length)
    const last = rows.at(-1)!
    this.#position = last.position + 1n
    this.#check.reached(witnessOf(last))
    this.#atTail = this.#position >= head
    return new Fetched({ ...this.options.key, replay: this.options.replay }, this.#decoder, from, rows, head, loan)
  }
}
