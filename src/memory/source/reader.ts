import { positionOutOfRange } from '../../model/refusals.js'
import { joined } from '../../model/signals.js'
import type { Chunk, Decoding, Message, Poison, RawMessage, Reader, ReadOptions } from '../../ports/index.js'
import { type ChunkDecoder, chunkDecoder } from '../../reading/chunk-decoder.js'
import { undecodable } from '../../reading/decode-errors.js'
import { FetchAhead } from '../../reading/fetch-ahead.js'
import { Lent } from '../../reading/lent.js'
import { type Origin, ReadMessage } from '../../reading/message.js'
import { type Cut, type MemoryLog, type MemoryRecord, sizeOf } from './log.js'

/** Reads one partition of a log in memory, with the manners of a real one: it borrows memory, and fetches ahead. */
export class MemoryReader<V> implements Reader<V> {
  #position: bigint
  /** Where the next fetch begins. */
  #fetchFrom: bigint
  #current: Piece | null = null
  readonly #origin: Origin
  readonly #decoder: ChunkDecoder<V>
  readonly #stop: AbortSignal
  readonly #leave: () => void
  readonly #closing = new AbortController()
  readonly #ahead = new FetchAhead(() => this.#fetch())

  constructor(
    private readonly log: MemoryLog,
    from: bigint,
    private readonly options: ReadOptions,
    decoding: Decoding<V>,
    private readonly cut: Cut,
    clientClosed: AbortSignal,
  ) {
    this.#position = from
    this.#fetchFrom = from
    this.#origin = { ...options.key, replay: options.replay }
    this.#decoder = chunkDecoder(decoding)
    const { signal, leave } = joined(options.signal, clientClosed, this.#closing.signal)
    this.#stop = signal
    this.#leave = leave
    if (signal.aborted) this.#end()
    else signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  async arrived(waitMs: number): Promise<boolean> {
    if (this.#stop.aborted) return false
    if (this.#current) return true
    const piece = await this.#ahead.arrival(waitMs)
    if (!piece) return false
    this.#current = piece
    this.#fetchFrom += BigInt(piece.left)
    this.#ahead.begin()
    return true
  }

  async next({ maxMessages, waitMs }: { maxMessages: number; waitMs: number }): Promise<Chunk<V> | null> {
    return (await this.arrived(waitMs)) ? this.#serve(this.#current!, maxMessages) : null
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#ahead.end()
  }

  #end(): void {
    this.#leave()
    this.#current?.drop()
    this.#current = null
    void this.#ahead.end()
  }

  async #fetch(): Promise<Piece | null> {
    const { key, budget, fetchBytes } = this.options
    const head = this.log.head(key.partition)
    if (this.#fetchFrom > head) throw positionOutOfRange(key, this.#fetchFrom, { first: 0n, head })
    if (!(await this.log.arrival(this.#fetchFrom, key.partition, this.#stop))) return null
    const loan = await budget.take(fetchBytes, this.#stop).catch(() => null)
    if (!loan) return null
    const records = this.log.from(this.#fetchFrom, key.partition, fetchBytes)
    loan.resize(records.reduce((sum, record) => sum + sizeOf(record), 0))
    return new Piece(loan, records)
  }

  #serve(piece: Piece, maxMessages: number): Chunk<V> {
    const { partition } = this.#origin
    const most = Math.min(maxMessages, piece.left)
    const from = this.#position
    const messages: Message<V>[] = []
    let bytes = 0
    let poison: Poison | undefined
    const records = piece.take(Math.max(1, Math.min(most, this.cut(partition, most))))
    for (const record of records) {
      const message = this.#decode(record)
      if (!(message instanceof ReadMessage)) {
        poison = message
        break
      }
      messages.push(message)
      bytes += sizeOf(record)
      this.#position++
    }
    const release = piece.lend()
    if (poison) piece.putBack(messages.length)
    else if (piece.left === 0) {
      piece.end()
      this.#current = null
    }
    const head = this.log.head(partition)
    return this.#decoder.finish({
      from,
      next: this.#position,
      messages,
      bytes,
      head,
      raw: ({ offset }) => rawOf(records[Number(offset - from)]!, offset),
      release,
      ...(poison && { poison }),
    })
  }

  #decode(record: MemoryRecord): ReadMessage<V> | Poison {
    const { key, value, headers, timestamp } = record
    const info = { ...this.options.key, offset: this.#position }
    try {
      const decoded = value === null ? null : this.#decoder.decode(value, info)
      return new ReadMessage(this.#origin, this.#position, timestamp, key, decoded as V, headers)
    } catch (thrown) {
      return {
        error: undecodable(this.#decoder, value!, info, thrown),
        raw: rawOf(record, this.#position),
        next: this.#position + 1n,
        timestamp,
      }
    }
  }
}

function rawOf({ key, value, headers, timestamp }: MemoryRecord, offset: bigint): RawMessage {
  return { offset, timestamp, key, value, headers }
}

/** What was fetched, handed out in chunks. */
class Piece extends Lent {
  #next = 0
  #last = 0

  constructor(
    loan: ConstructorParameters<typeof Lent>[0],
    private readonly records: readonly MemoryRecord[],
  ) {
    super(loan)
  }

  get left(): number {
    return this.records.length - this.#next
  }

  take(count: number): readonly MemoryRecord[] {
    this.#last = this.#next
    this.#next += count
    return this.records.slice(this.#last, this.#next)
  }

  /** Of the last ones that were taken, only so many were handed out. */
  putBack(handedOut: number): void {
    this.#next = this.#last + handedOut
  }
}
