import { messageOf } from '../../model/errors.js'
import type { PartitionKey } from '../../model/partition.js'
import { corruptData } from '../../model/refusals.js'
import type { Chunk, Log, Message, Poison, Reader, ReadOptions } from '../../ports/index.js'
import { type ChunkDecoder, chunkDecoder } from '../../reading/chunk-decoder.js'
import { undecodable } from '../../reading/decode-errors.js'
import { FetchAhead } from '../../reading/fetch-ahead.js'
import type { Decoding } from '../../reading/late-value.js'
import type { Origin } from '../../reading/message.js'
import type { ValueInfo } from '../../reading/value.js'
import { epochIn, witnessOf } from './epoch-witness.js'
import { Fetcher } from './fetcher.js'
import type { PartitionLink } from './partition-link.js'
import { Piece } from './piece.js'
import type { RecordBatch } from './record-batch.js'
import { type MessageBatch, RecordMessage, rawOf } from './record-message.js'
import type { RawRecord } from './records.js'

/** Hands out one fetch in chunks, while the next one is under way. */
export class KafkaReader<V> implements Reader<V> {
  readonly #fetcher: Fetcher
  readonly #origin: Origin
  readonly #decoder: ChunkDecoder<V>
  readonly #stop = new AbortController()
  #current: Piece | null = null
  readonly #ahead = new FetchAhead(() => this.#fetch())
  #position: bigint
  /** The leader epoch of what lies right before the position; -1 where it is not known. */
  #epoch: number
  readonly #onAbort = () => void this.close()

  constructor(
    from: bigint,
    private readonly options: ReadOptions,
    private readonly link: PartitionLink,
    decoding: Decoding<V>,
    log: Log,
    private readonly onClose: (reader: KafkaReader<V>) => void = () => {},
    identity?: () => Promise<string | null>,
  ) {
    this.#position = from
    this.#epoch = epochIn(options.witness)
    this.#origin = { ...options.key, replay: options.replay }
    this.#decoder = chunkDecoder(decoding)
    this.#fetcher = new Fetcher(link, { ...options, signal: this.#stop.signal }, log, identity)
    if (options.signal.aborted) this.#onAbort()
    else options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  async arrived(waitMs: number): Promise<boolean> {
    this.#current ??= await this.#ahead.arrival(waitMs)
    return this.#current !== null && !this.#stop.signal.aborted
  }

  async next({
    maxMessages,
    waitMs,
  }: {
    readonly maxMessages: number
    readonly waitMs: number
  }): Promise<Chunk<V> | null> {
    this.#current ??= await this.#ahead.arrival(waitMs)
    const piece = this.#current
    if (!piece || this.#stop.signal.aborted) return null
    const chunk = this.#cut(piece, maxMessages)
    if (piece.done) {
      this.#current = null
      // From here on the log and the handler work at the same time; but nobody reads on behind poison.
      if (!chunk.poison) this.#ahead.begin()
    }
    return chunk
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.options.signal.removeEventListener('abort', this.#onAbort)
    this.onClose(this)
    this.#stop.abort()
    this.#current?.drop()
    this.#current = null
    // Leaving the link ends the fetch under way, so this does not wait for the broker.
    this.link.close()
    await this.#ahead.end()
  }

  async #fetch(): Promise<Piece | null> {
    const fetched = await this.#fetcher.fetch({ position: this.#position, epoch: this.#epoch })
    return fetched && new Piece(fetched)
  }

  /** Decodes up to `most` messages from where the reader is. */
  #cut(piece: Piece, most: number): Chunk<V> {
    const from = this.#position
    const messages: Message<V>[] = []
    let poison: Poison | undefined
    let bytes = 0
    let place: MessageBatch | undefined
    /** That of the last message. */
    let batch: RecordBatch | undefined
    /** Records of the batch in hand that lie before the position. */
    let before = 0
    const info = infoOf(this.options.key, piece)
    try {
      while (messages.length < most) {
        const record = piece.next()
        if (!record) break
        if (place?.batch !== record.batch) {
          place = { origin: this.#origin, batch: record.batch }
          before = Number(from - record.batch.baseOffset)
        }
        // A batch is sent whole: its first records may lie before the position.
        if (record.offsetDelta < before) continue
        let value: V | null = null
        if (record.valueEnd >= 0) {
          try {
            value = this.#decode(record, info)
          } catch (thrown) {
            const raw = rawOf(new RecordMessage(place, record, null))
            poison = {
              error: undecodable(this.#decoder, raw.value!, info, thrown),
              raw,
              timestamp: raw.timestamp,
              next: raw.offset + 1n,
            }
            break
          }
          bytes += record.valueEnd - record.valueStart
        }
        messages.push(new RecordMessage(place, record, value as V))
        batch = record.batch
      }
    } catch (error) {
      // The records behind a damaged one can't be found: the next that can be read is in the next batch.
      const damage = { what: 'the record', why: messageOf(error), next: piece.batchEnd }
      poison = {
        error: corruptData(this.options.key, nextOf(messages, from), damage),
        raw: null,
        next: piece.batchEnd,
      }
    }
    let next = poison?.error.code === 'UNDECODABLE' ? info.offset : nextOf(messages, from)
    if (batch) this.#epoch = batch.leaderEpoch
    if (poison) piece.end()
    else if (piece.finish()) {
      next = piece.nextOffset > next ? piece.nextOffset : next
      this.#epoch = piece.lastEpoch
    }
    this.#position = next
    const witness = witnessOf(this.#epoch)
    const release = piece.lend()
    return this.#decoder.finish({
      from,
      next,
      messages,
      bytes,
      head: piece.head,
      raw: rawOf,
      release,
      ...(poison && { poison }),
      ...(witness && { witness }),
    })
  }

  #decode(record: RawRecord, info: ValueInfo): V {
    const decoder = this.#decoder
    if (decoder.decodePart) return decoder.decodePart(record.batch.body, record.valueStart, record.valueEnd, info)
    return decoder.decode(record.value!, info)
  }
}

/** Where the record in hand stands. Its offset is made only for a decoder that asks. */
function infoOf({ group, stream, partition }: PartitionKey, piece: Piece): ValueInfo {
  return {
    group,
    stream,
    partition,
    get offset() {
      return piece.record!.offset
    },
  }
}

/** Where to go on behind the last message. */
function nextOf(messages: readonly Message[], from: bigint): bigint {
  const last = messages.at(-1)
  return last ? last.offset + 1n : from
}
