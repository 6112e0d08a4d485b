import { isWellFormed, textOf } from '../../ports/text.js'
import { AmqpMap, type AmqpValue, Described } from './amqp-value.js'

/*
 * The types of AMQP 1.0, as far as reading goes.
 * http://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html
 */

/** The bytes are no AMQP 1.0. */
export class NotAmqp extends Error {
  override readonly name = 'NotAmqp'
}

const longer = 'a value is longer than what holds it'
const shorter = 'a value is not as long as it says'
const odd = 'a map has a key without a value'

/** Deeper is damage, or an attack on the stack. */
const deepest = 64

/** Bytes of the types whose values all take the same, by their code; -1 for others, and where any value may be wrong. */
const widths = new Int8Array(256).fill(-1)
for (const [width, codes] of [
  [0, [0x40, 0x41, 0x42, 0x43, 0x44, 0x45]],
  [1, [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56]],
  [2, [0x60, 0x61]],
  [4, [0x70, 0x71, 0x72, 0x74]],
  [8, [0x80, 0x81, 0x82, 0x83, 0x84]],
  [16, [0x94, 0x98]],
] as const)
  for (const code of codes) widths[code] = width

/** Reads values one after another; never beyond `end`. Throws NotAmqp. */
export class AmqpReader {
  #depth = 0

  constructor(
    private readonly bytes: Buffer,
    private at: number,
    private readonly end: number,
  ) {}

  get done(): boolean {
    return this.at >= this.end
  }

  value(): AmqpValue {
    const code = this.#uint(1)
    if (code !== 0) return this.#of(code)
    return this.#nested(() => new Described(this.value(), this.value()))
  }

  /** Goes over a value without making it. Throws where `value` would. */
  skip(): void {
    const code = this.#uint(1)
    const width = widths[code]!
    if (width >= 0) this.#take(width)
    else if (code === 0xa0 || code === 0xa1 || code === 0xa3) this.#take(this.#uint(1))
    else if (code === 0xb0 || code === 0xb1 || code === 0xb3) this.#take(this.#uint(4))
    else if (code === 0xc0 || code === 0xc1) this.#skipAll(1, code === 0xc1)
    else if (code === 0xd0 || code === 0xd1) this.#skipAll(4, code === 0xd1)
    else if (code !== 0) this.#of(code)
    else {
      this.#deeper()
      this.skip()
      this.skip()
      this.#depth--
    }
  }

  /** Where the next value begins, and the code of its type; null at the end. */
  get next(): { readonly at: number; readonly code: number } | null {
    return this.done ? null : { at: this.at, code: this.bytes[this.at]! }
  }

  /** The number that says which section of a message comes; the section's value is next. */
  section(): number {
    const { bytes, at } = this
    // As everybody writes it.
    if (at + 3 <= this.end && bytes[at] === 0 && bytes[at + 1] === 0x53) {
      this.at += 3
      return bytes[at + 2]!
    }
    if (this.#uint(1) !== 0) throw new NotAmqp('a section does not begin with a descriptor')
    const descriptor = this.value()
    if (typeof descriptor === 'bigint' || typeof descriptor === 'number') return Number(descriptor)
    throw new NotAmqp('a section has no number')
  }

  /** Where a binary lies: what `value` would give, without a view. Null for other types, and then nothing is read. */
  binary(): { readonly start: number; readonly end: number } | null {
    const code = this.bytes[this.at]
    if ((code !== 0xa0 && code !== 0xb0) || this.done) return null
    this.at++
    const length = this.#uint(code === 0xa0 ? 1 : 4)
    const start = this.#take(length)
    return { start, end: start + length }
  }

  #of(code: number): AmqpValue {
    switch (code) {
      case 0x40:
        return null
      case 0x41:
        return true
      case 0x42:
        return false
      case 0x43:
        return 0
      case 0x44:
        return 0n
      case 0x45:
        return []
      case 0x50:
      case 0x52:
        return this.#uint(1)
      case 0x53:
        return BigInt(this.#uint(1))
      case 0x51:
      case 0x54:
        return this.bytes.readInt8(this.#take(1))
      case 0x55:
        return BigInt(this.bytes.readInt8(this.#take(1)))
      case 0x56:
        return this.#uint(1) !== 0
      case 0x60:
        return this.bytes.readUInt16BE(this.#take(2))
      case 0x61:
        return this.bytes.readInt16BE(this.#take(2))
      case 0x70:
        return this.#uint(4)
      case 0x71:
        return this.bytes.readInt32BE(this.#take(4))
      case 0x72:
        return this.bytes.readFloatBE(this.#take(4))
      case 0x73:
        return this.#char()
      case 0x80:
        return this.bytes.readBigUInt64BE(this.#take(8))
      case 0x81:
        return this.bytes.readBigInt64BE(this.#take(8))
      case 0x82:
        return this.bytes.readDoubleBE(this.#take(8))
      case 0x83:
        return new Date(Number(this.bytes.readBigInt64BE(this.#take(8))))
      case 0x74:
        return this.#bytes(4)
      case 0x84:
        return this.#bytes(8)
      case 0x94:
        return this.#bytes(16)
      case 0x98:
        return this.#bytes(16)
          .toString('hex')
          .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
      case 0xa0:
        return this.#bytes(this.#uint(1))
      case 0xb0:
        return this.#bytes(this.#uint(4))
      case 0xa1:
      case 0xa3:
        return this.#string(this.#uint(1))
      case 0xb1:
      case 0xb3:
        return this.#string(this.#uint(4))
      case 0xc0:
        return this.#compound(1, (count) => this.#list(count))
      case 0xd0:
        return this.#compound(4, (count) => this.#list(count))
      case 0xc1:
        return this.#compound(1, (count) => this.#map(count))
      case 0xd1:
        return this.#compound(4, (count) => this.#map(count))
      case 0xe0:
        return this.#compound(1, (count) => this.#array(count))
      case 0xf0:
        return this.#compound(4, (count) => this.#array(count))
      default:
        throw new NotAmqp(`0x${code.toString(16)} is no type of AMQP`)
    }
  }

  /** AMQP's strings are UTF-8. What a publisher wrote otherwise stays bytes. */
  #string(length: number): string | Buffer {
    const bytes = this.#bytes(length)
    const text = textOf(bytes)
    return isWellFormed(text) ? text : bytes
  }

  #compound<T>(width: 1 | 4, read: (count: number) => T): T {
    const size = this.#uint(width)
    const end = this.at + size
    if (end > this.end) throw new NotAmqp(longer)
    const value = this.#nested(() => read(this.#uint(width)))
    if (this.at !== end) throw new NotAmqp(shorter)
    return value
  }

  #skipAll(width: 1 | 4, isMap: boolean): void {
    const size = this.#uint(width)
    const end = this.at + size
    if (end > this.end) throw new NotAmqp(longer)
    this.#deeper()
    const count = this.#uint(width)
    if (isMap && count % 2 !== 0) throw new NotAmqp(odd)
    for (let i = 0; i < count; i++) this.skip()
    this.#depth--
    if (this.at !== end) throw new NotAmqp(shorter)
  }

  #deeper(): void {
    if (++this.#depth > deepest) throw new NotAmqp('values are nested too deeply')
  }

  #nested<T>(read: () => T): T {
    this.#deeper()
    try {
      return read()
    } finally {
      this.#depth--
    }
  }

  #list(count: number): AmqpValue[] {
    const values: AmqpValue[] = []
    for (let i = 0; i < count; i++) values.push(this.value())
    return values
  }

  #map(count: number): AmqpMap {
    if (count % 2 !== 0) throw new NotAmqp(odd)
    const entries: [AmqpValue, AmqpValue][] = []
    for (let i = 0; i < count; i += 2) entries.push([this.value(), this.value()])
    return new AmqpMap(entries)
  }

  /** One constructor for all its values. */
  #array(count: number): AmqpValue[] {
    let code = this.#uint(1)
    let descriptor: AmqpValue | undefined
    if (code === 0) {
      descriptor = this.value()
      code = this.#uint(1)
    }
    // Some types take no bytes at all, so the count alone must not make a giant.
    if (count > this.end) throw new NotAmqp('an array has more values than bytes')
    const values: AmqpValue[] = []
    for (let i = 0; i < count; i++) {
      const value = this.#of(code)
      values.push(descriptor === undefined ? value : new Described(descriptor, value))
    }
    return values
  }

  #char(): string {
    const point = this.#uint(4)
    if (point > 0x10ffff) throw new NotAmqp('a character is none')
    return String.fromCodePoint(point)
  }

  #bytes(length: number): Buffer {
    const start = this.#take(length)
    return this.bytes.subarray(start, start + length)
  }

  #uint(width: 1 | 4): number {
    const start = this.#take(width)
    return width === 1 ? this.bytes[start]! : this.bytes.readUInt32BE(start)
  }

  #take(length: number): number {
    const start = this.at
    if (start + length > this.end) throw new NotAmqp(longer)
    this.at = start + length
    return start
  }
}
