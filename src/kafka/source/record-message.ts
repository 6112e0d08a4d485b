import type { Message, RawMessage } from '../../ports/index.js'
import { LogMessage, type Origin } from '../../reading/message.js'
import type { RecordBatch } from './record-batch.js'
import { offsetIn, type RawRecord, timestampIn, valueBehindKey } from './records.js'

/** What the messages of one record batch have in common. */
export interface MessageBatch {
  readonly origin: Origin
  readonly batch: RecordBatch
}

/**
 * A message that keeps only its place in the record batch, and derives offset, time and key from it when they are read. Thousands of messages
 * are in memory while a handler waits for its database, and the garbage collector copies each of them.
 */
export class RecordMessage<V> extends LogMessage<V> {
  readonly #in: MessageBatch
  readonly #offset: number
  readonly #timestamp: number
  readonly #keyStart: number
  readonly #keyEnd: number

  constructor(batch: MessageBatch, { offsetDelta, timestampDelta, keyStart, keyEnd, headers }: RawRecord, value: V) {
    super(headers, value)
    this.#in = batch
    this.#offset = offsetDelta
    this.#timestamp = timestampDelta
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
  }

  protected get origin(): Origin {
    return this.#in.origin
  }

  get offset(): bigint {
    return offsetIn(this.#in.batch, this.#offset)
  }

  get timestamp(): number {
    return timestampIn(this.#in.batch, this.#timestamp)
  }

  get keyBytes(): Buffer | null {
    return this.#keyEnd < 0 ? null : this.#in.batch.body.subarray(this.#keyStart, this.#keyEnd)
  }

  /** Few messages are asked for it, so where the value lies is found then. */
  get raw(): RawMessage {
    const { offset, timestamp, keyBytes: key, rawHeaders: headers } = this
    const value = valueBehindKey(this.#in.batch.body, this.#keyEnd < 0 ? this.#keyStart : this.#keyEnd)
    return { offset, timestamp, key, value, headers }
  }
}

/** `Chunk.raw` of all chunks. */
export function rawOf(message: Message): RawMessage {
  if (message instanceof RecordMessage) return message.raw
  throw new TypeError(`the message at offset ${message.offset} is of no chunk of this log`)
}
