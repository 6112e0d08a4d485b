import { messageOf, type TidemarkError } from '../../model/errors.js'
import { corruptData } from '../../model/refusals.js'
import type { Chunk, Log, Message, Poison, Reader, ReadOptions } from '../../ports/index.js'
import { type ChunkDecoder, chunkDecoder } from '../../reading/chunk-decoder.js'
import { FetchAhead } from '../../reading/fetch-ahead.js'
import type { Decoding } from '../../reading/late-value.js'
import { Lent } from '../../reading/lent.js'
import type { Links } from '../client/links.js'
import { DamagedChunk, MessageCursor, type MessagePlace, PackedOtherwise } from './chunk.js'
import { witnessIn, witnessOf } from './chunk-witness.js'
import { type Fetched, Fetcher } from './fetcher.js'
import type { Incarnations } from './incarnations.js'
import { MessageDecoder, undecodableMessage } from './message-decoder.js'
import type { Offsets } from './offsets.js'
import { rawOf, StreamMessage } from './stream-message.js'

/** Hands out the log's chunks, several at once or one in pieces, while the next ones are under way. */
export class RabbitmqReader<V> implements Reader<V> {
  readonly #fetcher: Fetcher
  readonly #decoder: ChunkDecoder<V>
  readonly #messages: MessageDecoder<V>
  readonly #stop = new AbortController()
  #current: Piece | null = null
  readonly #ahead = new FetchAhead(() => this.#fetch())
  #position: bigint
  /** Of the log's chunk that holds the message right before the position; null where it is not known. */
  #witness: string | null
  readonly #onAbort = () => void this.close()

  constructor(
    from: bigint,
    private readonly options: ReadOptions,
    links: Links,
    offsets: Offsets,
    incarnations: Incarnations,
    decoding: Decoding<V>,
    log: Log,
    private readonly onClose: (reader: RabbitmqReader<V>) => void = () => {},
  ) {
    this.#position = from
    this.#witness = witnessIn(options.witness)
    this.#decoder = chunkDecoder(decoding)
    const origin = { ...options.key, replay: options.replay }
    this.#messages = new MessageDecoder(origin, this.#decoder, links.settings.keyHeader)
    this.#fetcher = new Fetcher(links, offsets, incarnations, { ...options, signal: this.#stop.signal }, log)
    if (options.signal.aborted) this.#onAbort()
    else options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  async arrived(waitMs: number): Promise<boolean> {
    this.#current ??= await this.#ahead.arrival(waitMs)
    return this.#current !== null && !this.#stop.signal.aborted
  }

  async next(limits: { readonly maxMessages: number; readonly waitMs: number }): Promise<Chunk<V> | null> {
    this.#current ??= await this.#ahead.arrival(limits.waitMs)
    const piece = this.#current
    if (!piece || this.#stop.signal.aborted) return null
    const chunk = this.#cut(piece, limits.maxMessages)
    // From here on the log and the handler work at the same time; but nobody reads on behind poison.
    if (!this.#current && !chunk.poison) this.#ahead.begin()
    return chunk
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.options.signal.removeEventListener('abort', this.#onAbort)
    this.onClose(this)
    this.#stop.abort()
    this.#current?.drop()
    this.#current = null
    this.#fetcher.close()
    // What is under way may wait for an answer of the broker; it gives back its memory when it comes.
    await Promise.race([this.#ahead.end(), new Promise((resolve) => setTimeout(resolve, 500))])
  }

  async #fetch(): Promise<Piece | null> {
    const from = this.#position
    const fetched = await this.#fetcher.fetch(from, this.#witness)
    return fetched && new Piece(fetched, from)
  }

  /** Decodes up to `most` messages from where the reader is, out of a piece and those behind it that have arrived. */
  #cut(first: Piece, most: number): Chunk<V> {
    const from = this.#position
    const messages: Message<V>[] = []
    const loans: (() => void)[] = []
    let poison: Poison | undefined
    let [bytes, head] = [0, 0n]
    for (let piece: Piece | null = first; piece; piece = this.#behind(piece, most - messages.length, bytes)) {
      const cut = this.#decodeAll(piece, messages, most)
      bytes += cut.bytes
      head = piece.head
      poison = cut.poison
      loans.push(piece.lend())
      if (piece.done) this.#current = null
      if (poison) break
    }
    const release = () => {
      for (const giveBack of loans) giveBack()
    }
    const witness = this.#witness
    return this.#decoder.finish({
      from,
      next: this.#position,
      messages,
      bytes,
      head,
      raw: rawOf,
      release,
      ...(poison && { poison }),
      ...(witness !== null && { witness }),
    })
  }

  /** What has arrived behind a piece that is handed out, unless `room` for messages or the bytes of one fetch are used up. */
  #behind(piece: Piece, room: number, bytes: number): Piece | null {
    if (!piece.done || room <= 0 || bytes >= this.options.fetchBytes) return null
    const fetched = this.#fetcher.arrived(this.#position)
    this.#current = fetched && new Piece(fetched, this.#position)
    return this.#current
  }

  /** Decodes up to `most` messages in all from a piece, and moves the position behind them. */
  #decodeAll(piece: Piece, messages: Message<V>[], most: number): { bytes: number; poison: Poison | undefined } {
    let poison: Poison | undefined
    let bytes = 0
    let next = this.#position
    try {
      while (messages.length < most && piece.next()) {
        const { place } = piece
        next = place.offset
        const message = this.#messages.decode(place, piece.timestamp)
        if (!(message instanceof StreamMessage)) {
          poison = message
          break
        }
        messages.push(message)
        bytes += place.end - place.start
        next = place.offset + 1n
      }
    } catch (error) {
      if (error instanceof PackedOtherwise && error.offset > next) next = error.offset
      const behind = readableBehind(error) ?? piece.nextOffset
      poison = { error: this.#unreadable(error, next, behind), raw: null, next: behind, timestamp: piece.timestamp }
    }
    if (poison) piece.end()
    else if (piece.finish()) next = piece.nextOffset
    this.#moveTo(next, piece)
    return { bytes, poison }
  }

  #moveTo(next: bigint, piece: Piece): void {
    if (next > piece.first) this.#witness = piece.witness
    // Before the piece is what the broker has not sent: its own notes, as a rule.
    else if (next !== this.#position) this.#witness = null
    this.#position = next
  }

  #unreadable(error: unknown, offset: bigint, next: bigint): TidemarkError {
    if (error instanceof PackedOtherwise)
      return undecodableMessage(
        this.options.key,
        offset,
        `${error.message}, which this version of Tidemark does not know: publish them plain, or with gzip, snappy, lz4 or zstd`,
      )
    return corruptData(this.options.key, offset, { what: 'the message', why: messageOf(error), next })
  }
}

/** The first offset behind what can't be read that can be, if it is in the same chunk of the log. */
function readableBehind(error: unknown): bigint | null {
  return error instanceof PackedOtherwise || error instanceof DamagedChunk ? error.next : null
}

/** One chunk of the log while it is handed out. Its loan ends when all of it was handed out and given back. */
class Piece extends Lent {
  readonly head: bigint
  readonly first: bigint
  readonly witness: string
  readonly nextOffset: bigint
  readonly timestamp: number
  readonly place: MessagePlace
  readonly #cursor: MessageCursor

  constructor({ chunk, head, loan }: Fetched, from: bigint) {
    super(loan)
    this.head = head
    this.first = chunk.first
    this.witness = witnessOf(chunk)
    this.nextOffset = chunk.next
    this.timestamp = chunk.timestamp
    this.#cursor = new MessageCursor(chunk, from)
    this.place = this.#cursor.message
  }

  next(): boolean {
    return this.#cursor.next()
  }

  /** True once its last message was handed out. */
  finish(): boolean {
    if (this.#cursor.left === 0) this.end()
    return this.done
  }
}
