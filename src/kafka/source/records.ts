import type { RawHeaders } from '../../reading/message.js'
import { noHeaders } from '../../reading/message.js'
import type { RecordBatch } from './record-batch.js'

/**
 * One record: where it lies in its batch. Reused from record to record; views are made only when they are asked for, since a
 * view costs more than decoding the record.
 */
export class RawRecord {
  /** From the batch's base offset. */
  offsetDelta = 0
  /** From the batch's own timestamp, ms. */
  timestampDelta = 0
  headers: RawHeaders = noHeaders
  keyStart = 0
  /** -1 where there is no key. */
  keyEnd = -1
  valueStart = 0
  /** -1 where there is no value: a tombstone. */
  valueEnd = -1

  constructor(readonly batch: RecordBatch) {}

  get offset(): bigint {
    return offsetIn(this.batch, this.offsetDelta)
  }

  get timestamp(): number {
    return timestampIn(this.batch, this.timestampDelta)
  }

  get key(): Buffer | null {
    return this.keyEnd < 0 ? null : this.batch.body.subarray(this.keyStart, this.keyEnd)
  }

  get value(): Buffer | null {
    return this.valueEnd < 0 ? null : this.batch.body.subarray(this.valueStart, this.valueEnd)
  }
}

export function offsetIn({ baseOffset }: Pick<RecordBatch, 'baseOffset'>, delta: number): bigint {
  return baseOffset + BigInt(delta)
}

/** ms since 1970 */
export function timestampIn(
  { logAppendTime, baseTimestamp }: Pick<RecordBatch, 'logAppendTime' | 'baseTimestamp'>,
  delta: number,
): number {
  return logAppendTime ?? baseTimestamp + delta
}

/**
 * The value of a record whose key ends here.
 *
 * @param at a varint stands there: the value's length, -1 for a tombstone
 */
export function valueBehindKey(body: Buffer, at: number): Buffer | null {
  let zigzag = 0
  let start = at
  for (let shift = 0; ; shift += 7) {
    const byte = body[start++]!
    zigzag |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const length = (zigzag >>> 1) ^ -(zigzag & 1)
  return length < 0 ? null : body.subarray(start, start + length)
}

/**
 * Walks the records of a batch. A hot loop: it allocates next to nothing, and varints are read in place.
 * https://kafka.apache.org/documentation/#record
 */
export class RecordCursor {
  #at = 0
  #left: number
  readonly #body: Buffer
  readonly record: RawRecord

  constructor(batch: RecordBatch) {
    this.#body = batch.body
    this.#left = batch.count
    this.record = new RawRecord(batch)
  }

  /** Records not walked yet. */
  get left(): number {
    return this.#left
  }

  /** Moves to the next record; false at the end. Throws RangeError when the batch is damaged. */
  next(): boolean {
    if (this.#left === 0) return false
    this.#left--
    const { record } = this
    const length = this.#varint()
    const end = this.#at + length
    if (length < 0 || end > this.#body.length) throw new RangeError('a record is longer than its batch')
    this.#at++ // attributes, unused
    record.timestampDelta = this.#varlong()
    record.offsetDelta = this.#varint()
    const keyLength = this.#varint()
    record.keyStart = this.#at
    if (keyLength > 0) this.#at += keyLength
    record.keyEnd = keyLength < 0 ? -1 : this.#at
    const valueLength = this.#varint()
    record.valueStart = this.#at
    if (valueLength > 0) this.#at += valueLength
    record.valueEnd = valueLength < 0 ? -1 : this.#at
    const headers = this.#varint()
    record.headers = headers === 0 ? noHeaders : this.#headers(headers)
    if (this.#at > end) throw new RangeError('a record is longer than it says')
    this.#at = end
    return true
  }

  #headers(count: number): RawHeaders {
    const headers: [string, Buffer | null][] = []
    for (let i = 0; i < count; i++) {
      headers.push([this.#bytes()?.toString('utf8') ?? '', this.#bytes()])
      if (this.#at > this.#body.length) throw new RangeError('a record has more headers than bytes')
    }
    return headers
  }

  #bytes(): Buffer | null {
    const length = this.#varint()
    if (length < 0) return null
    const from = this.#at
    this.#at += length
    return this.#body.subarray(from, this.#at)
  }

  /** A zigzag varint of at most 32 bits. Behind the body's end it reads zeros; `next` notices that. */
  #varint(): number {
    const body = this.#body
    let at = this.#at
    let byte = body[at++]!
    let result = byte & 0x7f
    for (let shift = 7; byte & 0x80; shift += 7) {
      if (shift > 28) throw new RangeError('a varint is too long')
      byte = body[at++]!
      result |= (byte & 0x7f) << shift
    }
    this.#at = at
    return (result >>> 1) ^ -(result & 1)
  }

  /** A zigzag varint of up to 64 bits, as far as a double is exact: timestamps are. */
  #varlong(): number {
    const body = this.#body
    let byte = body[this.#at++]!
    let result = byte & 0x7f
    for (let factor = 128; byte & 0x80; factor *= 128) {
      if (factor > 2 ** 63) throw new RangeError('a varint is too long')
      byte = body[this.#at++]!
      result += (byte & 0x7f) * factor
    }
    return result % 2 === 0 ? result / 2 : -(result + 1) / 2
  }
}
