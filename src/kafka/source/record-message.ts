import { LogMessage, type Origin } from '../../reading/message.js'
import type { RecordBatch } from './record-batch.js'
import { offsetIn, type RawRecord, timestampIn } from './records.js'

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
}
