/** Writes the primitive types of Kafka's protocol into a buffer that grows. https://kafka.apache.org/protocol#protocol_types */
export class Writer {
  #bytes: Buffer
  #at = 0

  constructor(expected = 256) {
    this.#bytes = Buffer.allocUnsafe(expected)
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  get length(): number {
    return this.#at
  }

  /** Begins anew, in the same memory. */
  clear(): this {
    this.#at = 0
    return this
  }

  int8(value: number): this {
    const at = this.#room(1)
    this.#bytes.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#room(2)
    this.#bytes.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#room(4)
    this.#bytes.writeInt32BE(value, at)
    return this
  }

  int64(value: bigint): this {
    const at = this.#room(8)
    this.#bytes.writeBigInt64BE(value, at)
    return this
  }

  /** Zigzag, as inside of records. */
  varint(value: number): this {
    return this.uvarint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  uvarint(value: number): this {
    const at = this.#room(5)
    let end = at
    let rest = value
    while (rest > 0x7f) {
      this.#bytes[end++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[end++] = rest
    this.#at = end
    return this
  }

  raw(bytes: Buffer): this {
    const at = this.#room(bytes.length)
    bytes.copy(this.#bytes, at)
    return this
  }

  string(text: string | null): this {
    if (text === null) return this.int16(-1)
    const bytes = Buffer.from(text)
    return this.int16(bytes.length).raw(bytes)
  }

  /** As in flexible versions of requests. KIP-482. */
  compactString(text: string): this {
    const bytes = Buffer.from(text)
    return this.uvarint(bytes.length + 1).raw(bytes)
  }

  /** A field of a record: its length as a varint, -1 for null. */
  field(bytes: Buffer | null): this {
    return bytes === null ? this.varint(-1) : this.varint(bytes.length).raw(bytes)
  }

  array<T>(items: readonly T[], write: (item: T, to: this) => unknown): this {
    this.int32(items.length)
    for (const item of items) write(item, this)
    return this
  }

  #room(size: number): number {
    const at = this.#at
    if (at + size > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, at + size))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#at = at + size
    return at
  }
}

/** Reads the same. Throws a RangeError behind the end. */
export class Scanner {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  int16(): number {
    this.#at += 2
    return this.bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.bytes.readInt32BE(this.#at - 4)
  }

  int64(): bigint {
    this.#at += 8
    return this.bytes.readBigInt64BE(this.#at - 8)
  }

  uvarint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.bytes.readUInt8(this.#at++)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }

  string(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#text(length)
  }

  compactString(): string | null {
    const length = this.uvarint() - 1
    return length < 0 ? null : this.#text(length)
  }

  array<T>(read: (from: this) => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, () => read(this))
  }

  compactArray<T>(read: (from: this) => T): T[] {
    return Array.from({ length: Math.max(0, this.uvarint() - 1) }, () => read(this))
  }

  /** Fields of versions to come. */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.#at += this.uvarint()
    }
  }

  #text(length: number): string {
    this.#at += length
    return this.bytes.toString('utf8', this.#at - length, this.#at)
  }
}
