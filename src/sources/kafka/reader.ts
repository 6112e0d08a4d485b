import { TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import type { Chunk, Log, Message, Reader, ReadOptions } from '../../ports.js'
import { LogMessage, type Origin } from '../message.js'
import { undecodable, type ValueCodec, type ValueInfo } from '../value.js'
import { type Fetched, Fetcher } from './fetcher.js'
import type { PartitionLink } from './partition-link.js'
import type { RecordBatch } from './record-batch.js'
import { type RawRecord, RecordCursor } from './records.js'

/** Hands out one fetch in chunks, while the next one is under way. */
export class KafkaReader<V> implements Reader<V> {
  readonly #fetcher: Fetcher
  readonly #origin: Origin
  readonly #stop = new AbortController()
  #current: Piece | null = null
  #ahead: Promise<Piece | null> | null = null
  #position: bigint
  /** Ends the wait of a pending `next`. */
  #interrupt: (() => void) | null = null
  readonly #onAbort = () => void this.close()

  constructor(
    from: bigint,
    private readonly options: ReadOptions,
    private readonly link: PartitionLink,
    private readonly codec: ValueCodec<V>,
    log: Log,
    private readonly onClose: (reader: KafkaReader<V>) => void = () => {},
  ) {
    this.#position = from
    this.#origin = { ...options.key, replay: options.replay }
    this.#fetcher = new Fetcher(link, { ...options, signal: this.#stop.signal }, log)
    if (options.signal.aborted) this.#onAbort()
    else options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  async next({
    maxMessages,
    waitMs,
  }: {
    readonly maxMessages: number
    readonly waitMs: number
  }): Promise<Chunk<V> | null> {
    this.#current ??= await this.#arrival(waitMs)
    const piece = this.#current
    if (!piece || this.#stop.signal.aborted) return null
    const chunk = this.#cut(piece, maxMessages)
    if (piece.done) {
      this.#current = null
      // From here on the log and the handler work at the same time; but nobody reads on behind poison.
      if (!chunk.poison) this.#ahead ??= this.#fetch()
    }
    return chunk
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.options.signal.removeEventListener('abort', this.#onAbort)
    this.onClose(this)
    this.#stop.abort()
    this.#interrupt?.()
    this.#current?.drop()
    this.#current = null
    // Closing the connection ends the fetch under way, so this does not wait for the broker.
    const ahead = this.#ahead
    await this.link.close()
    const piece = await ahead?.catch(() => null)
    piece?.drop()
  }

  #fetch(): Promise<Piece | null> {
    const fetching = this.#fetcher.fetch(this.#position).then((fetched) => fetched && new Piece(fetched))
    // Thrown to whoever calls `next` next, which may be nobody.
    fetching.catch(() => {})
    return fetching
  }

  /** The fetch under way, or null when it takes longer than `waitMs`; then it stays under way for the next call. */
  async #arrival(waitMs: number): Promise<Piece | null> {
    if (this.#stop.signal.aborted) return null
    const ahead = this.#ahead ?? this.#fetch()
    this.#ahead = ahead
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      this.#interrupt = () => resolve('late')
      timer = setTimeout(this.#interrupt, Math.max(0, waitMs))
    })
    try {
      const first = await Promise.race([ahead, late])
      // What comes after `close` was called is given back there.
      if (first === 'late' || this.#stop.signal.aborted) return null
      this.#ahead = null
      return first
    } catch (error) {
      this.#ahead = null
      if (this.#stop.signal.aborted) return null
      throw error
    } finally {
      this.#interrupt = null
      clearTimeout(timer)
    }
  }

  /** Decodes up to `most` messages from where the reader is. */
  #cut(piece: Piece, most: number): Chunk<V> {
    const from = this.#position
    const messages: Message<V>[] = []
    let poison: TidemarkError | undefined
    let bytes = 0
    const info = { ...this.options.key, offset: from }
    try {
      while (messages.length < most) {
        const record = piece.next()
        if (!record) break
        const { offset } = record
        // A batch is sent whole: its first records may lie before the position.
        if (offset < from) continue
        let value: V | null = null
        if (record.valueEnd >= 0) {
          info.offset = offset
          try {
            value = this.#decode(record, info)
          } catch {
            poison = undecodable(this.codec, record.value!, info)
            break
          }
          bytes += record.valueEnd - record.valueStart
        }
        const { keyStart, keyEnd } = record
        const keyed = keyEnd < 0 ? null : record.body
        messages.push(
          new LogMessage(this.#origin, offset, record.timestamp, keyed, value as V, record.headers, keyStart, keyEnd),
        )
      }
    } catch (error) {
      poison = this.#damaged(nextOf(messages, from), error)
    }
    let next = poison?.code === 'UNDECODABLE' ? info.offset : nextOf(messages, from)
    if (poison) piece.end()
    else if (piece.finish()) next = piece.nextOffset > next ? piece.nextOffset : next
    this.#position = next
    const release = piece.lend()
    return { from, next, messages, bytes, head: piece.head, release, ...(poison ? { poison } : {}) }
  }

  #decode(record: RawRecord, info: ValueInfo): V {
    const { codec } = this
    if (codec.decodePart) return codec.decodePart(record.body, record.valueStart, record.valueEnd, info)
    return codec.decode(record.value!, info)
  }

  #damaged(offset: bigint, error: unknown): TidemarkError {
    const { key } = this.options
    return new TidemarkError(
      'CORRUPT_DATA',
      `${describePartition(key)}, group ${key.group}: the records at offset ${offset} can't be read: ${error instanceof Error ? error.message : error}`,
      {
        place: { ...key, offset: String(offset) },
      },
    )
  }
}

/** Where to go on behind the last message. */
function nextOf(messages: readonly Message[], from: bigint): bigint {
  const last = messages.at(-1)
  return last ? last.offset + 1n : from
}

/** One fetch while it is handed out. Its loan ends when all of it was handed out and every chunk of it was given back. */
class Piece {
  readonly head: bigint
  /** Where the log goes on behind the fetch. */
  readonly nextOffset: bigint
  readonly #batches: RecordBatch[]
  #cursor: RecordCursor | null = null
  #lent = 0
  #exhausted = false

  constructor(private readonly fetched: Fetched) {
    this.head = fetched.head
    this.nextOffset = fetched.batches.at(-1)!.nextOffset
    this.#batches = fetched.batches.filter((batch) => fetched.visible.has(batch)).reverse()
  }

  get done(): boolean {
    return this.#exhausted
  }

  next() {
    for (;;) {
      if (this.#cursor?.next()) return this.#cursor.record
      const batch = this.#batches.pop()
      if (!batch) return null
      this.#cursor = new RecordCursor(batch)
    }
  }

  /** True once its last record was handed out. */
  finish(): boolean {
    if (this.#batches.length === 0 && !this.#cursor?.left) this.#exhausted = true
    return this.#exhausted
  }

  /** Nothing more of it will be handed out. */
  end(): void {
    this.#exhausted = true
  }

  lend(): () => void {
    this.#lent++
    let open = true
    return () => {
      if (!open) return
      open = false
      this.#lent--
      this.#settle()
    }
  }

  drop(): void {
    this.#exhausted = true
    this.#settle()
  }

  #settle(): void {
    if (this.#exhausted && this.#lent === 0) this.fetched.loan.release()
  }
}
