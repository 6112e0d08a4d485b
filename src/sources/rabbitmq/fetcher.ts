import { messageOf, TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import type { ByteLoan, Log, ReadOptions } from '../../ports.js'
import { Backoff } from './backoff.js'
import { DamagedChunk, memoryOf, readChunk, type StreamChunk } from './chunk.js'
import { rabbitmqError } from './failures.js'
import type { Subscription } from './link.js'
import type { Links } from './links.js'
import type { Offsets } from './offsets.js'

/** One chunk, paid for with a loan from the worker's memory. */
export interface Fetched {
  readonly chunk: StreamChunk
  readonly head: bigint
  readonly loan: ByteLoan
}

/** So often an answer that retrying may mend is believed to be final. */
const patience = 8
/** Right after a restart a broker may not know yet how far the log goes. */
const rangePatience = 3

/** Fetches one partition chunk by chunk. Gets over everything that passes by itself. */
export class Fetcher {
  readonly #backoff = new Backoff()
  #subscription: { readonly of: Subscription; next: bigint } | null = null
  #failing = false

  constructor(
    private readonly links: Links,
    private readonly offsets: Offsets,
    private readonly options: ReadOptions,
    private readonly log: Log,
  ) {}

  /**
   * Waits until there is a chunk with something at or behind `from`, and returns it; null when the reader ends.
   *
   * @throws TidemarkError OUT_OF_RANGE, CORRUPT_DATA, STREAM_NOT_FOUND or AUTH_FAILED
   */
  async fetch(from: bigint): Promise<Fetched | null> {
    const { signal, budget, fetchBytes } = this.options
    const tries = { final: 0, damaged: 0 }
    let loan: ByteLoan | null = null
    try {
      while (!signal.aborted) {
        loan ??= await budget.take(fetchBytes, signal)
        const got = await this.#try(from, tries)
        if (got instanceof TidemarkError) throw got
        if (!got) continue
        loan.resize(memoryOf(got.chunk))
        const fetched = { ...got, loan }
        loan = null
        return fetched
      }
      return null
    } catch (error) {
      if (signal.aborted) return null
      throw error
    } finally {
      loan?.release()
    }
  }

  close(): void {
    this.#subscription?.of.close()
    this.#subscription = null
  }

  async #try(
    from: bigint,
    tries: { final: number; damaged: number },
  ): Promise<Omit<Fetched, 'loan'> | TidemarkError | null> {
    const { key, signal } = this.options
    try {
      const stream = await this.links.nameOf(key.partition)
      const subscription = await this.#at(stream, from)
      const { chunk: bytes, committed } = await subscription.of.next(signal)
      const chunk = readChunk(bytes)
      this.#recovered()
      // The broker begins with the chunk that holds the position, and may send others before it.
      if (!chunk.user || chunk.next <= from) return null
      // Offsets are missing: the broker's own notes take some, or retention was quicker than this reader.
      if (chunk.first > from) await this.#inRange(stream, from)
      subscription.next = chunk.next
      return { chunk, head: committed > chunk.next ? committed : chunk.next }
    } catch (error) {
      this.close()
      if (signal.aborted) return null
      if (error instanceof DamagedChunk && ++tries.damaged > 1) return this.#damaged(error, from)
      const meaning = error instanceof DamagedChunk ? null : rabbitmqError(error, this.links.settings, key.partition)
      const enough = meaning?.code === 'OUT_OF_RANGE' ? rangePatience : patience
      if (meaning?.effect === 'stop' && ++tries.final > enough) return this.#final(meaning)
      await this.#failed(error)
      return null
    }
  }

  /** The subscription that goes on at `from`: the one there is, as a rule. */
  async #at(stream: string, from: bigint): Promise<{ readonly of: Subscription; next: bigint }> {
    if (this.#subscription?.next === from) return this.#subscription
    this.close()
    await this.#inRange(stream, from)
    const subscription = { of: await this.links.subscribe(stream, { offset: from }), next: from }
    this.#subscription = subscription
    if (this.options.signal.aborted) this.close()
    return subscription
  }

  /** Throws OUT_OF_RANGE where the broker would silently begin elsewhere, or stay silent. */
  async #inRange(stream: string, from: bigint): Promise<void> {
    const { first, committed } = await this.offsets.chunks(stream)
    if (from >= first && from <= committed) return
    const bounds = await this.offsets.boundsOf(stream)
    if (from >= bounds.first && from <= bounds.head) return
    const { key } = this.options
    const why =
      from < bounds.first
        ? 'retention has deleted messages that were not handled yet'
        : 'the log is shorter than what was handled: the stream was created again, or has lost messages'
    throw new TidemarkError(
      'OUT_OF_RANGE',
      `${describePartition(key)}, group ${key.group}: position ${from} is not in the log, which goes from ${bounds.first} to ${bounds.head}; ${why}`,
      { place: { ...key, offset: String(from) } },
    )
  }

  #final(meaning: TidemarkError): TidemarkError {
    if (meaning.code === 'OUT_OF_RANGE') return meaning
    const { key } = this.options
    const text = `${describePartition(key)}, group ${key.group}: ${meaning.message}`
    return new TidemarkError(meaning.code, text, { place: { ...key }, cause: meaning })
  }

  async #failed(error: unknown): Promise<void> {
    const { key, signal } = this.options
    if (!this.#failing)
      this.log.warn(
        { ...key, error: messageOf(error) },
        `reading ${describePartition(key)} is interrupted; trying again`,
      )
    this.#failing = true
    await this.#backoff.pause(signal)
  }

  #recovered(): void {
    if (this.#failing) this.log.info({ ...this.options.key }, `reading ${describePartition(this.options.key)} goes on`)
    this.#failing = false
    this.#backoff.reset()
  }

  #damaged({ offset, message }: DamagedChunk, from: bigint): TidemarkError {
    const { key } = this.options
    const at = offset > from ? offset : from
    return new TidemarkError(
      'CORRUPT_DATA',
      `${describePartition(key)}, group ${key.group}: the chunk at offset ${at} can't be read, twice in a row: ${message}. Check the broker's disk and network`,
      { place: { ...key, offset: String(at) } },
    )
  }
}
