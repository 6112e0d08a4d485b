import { crc32 } from '@node-rs/crc32'
import { decompress, isCodec } from '../../reading/compression.js'

/*
 * How a stream's log is cut: chunks of entries, an entry being one message or a batch of messages packed together. The same
 * bytes lie on the broker's disk and come with a Deliver frame.
 * https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_stream/docs/PROTOCOL.adoc
 */

/** One chunk, entries still packed. */
export interface StreamChunk {
  /** Offset of its first message. */
  readonly first: bigint
  /** Offset behind its last message. */
  readonly next: bigint
  readonly messages: number
  /** When the broker wrote it: milliseconds since 1970. */
  readonly timestamp: number
  /** That of the leader which wrote it: each new one has a greater one. */
  readonly epoch: bigint
  /** False for what the broker keeps in the log for itself. */
  readonly user: boolean
  readonly entries: number
  readonly data: Buffer
}

/** The bytes are not what was written. */
export class DamagedChunk extends Error {
  override readonly name = 'DamagedChunk'

  constructor(
    /** The first message that can't be read. */
    readonly offset: bigint,
    message: string,
    /** The first one behind it that can be read; null where that can't be known in this chunk. */
    readonly next: bigint | null = null,
  ) {
    super(message)
  }
}

/** Messages packed in a way that did not exist when this was written. */
export class PackedOtherwise extends Error {
  override readonly name = 'PackedOtherwise'

  constructor(
    readonly offset: bigint,
    /** Offset behind them. */
    readonly next: bigint,
    messages: number,
    codec: number,
  ) {
    super(`${messages === 1 ? 'a message is' : `${messages} messages are`} packed with compression ${codec}`)
  }
}

const headerBytes = 48
const magic = 5
/** What one packed batch may grow to: more is damage, or an attack. */
const most = 512 * 1024 * 1024
/** A message object beside its bytes. */
const perMessage = 250

/** Reads a chunk's header and checks its sum. Throws DamagedChunk. */
export function readChunk(bytes: Buffer): StreamChunk {
  if (bytes.length < headerBytes) throw new DamagedChunk(-1n, `a chunk of ${bytes.length} bytes is no chunk`)
  const first = bytes.readBigUInt64BE(24)
  if (bytes[0]! >> 4 !== magic) throw new DamagedChunk(first, `a chunk can't begin with byte ${bytes[0]}`)
  const length = bytes.readUInt32BE(36)
  // Behind the entries the broker may leave a trailer, which is its own.
  const data = bytes.subarray(headerBytes, headerBytes + length)
  if (data.length !== length) throw new DamagedChunk(first, `the chunk has ${data.length} of its ${length} bytes`)
  if (crc32(data) !== bytes.readUInt32BE(32)) throw new DamagedChunk(first, "the chunk's checksum is wrong")
  const messages = bytes.readUInt32BE(4)
  return {
    first,
    next: first + BigInt(messages),
    messages,
    timestamp: Number(bytes.readBigInt64BE(8)),
    epoch: bytes.readBigUInt64BE(16),
    user: bytes[1] === 0,
    entries: bytes.readUInt16BE(2),
    data,
  }
}

/** Where a message lies. Reused from message to message. */
export class MessagePlace {
  offset = 0n
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
}

/** Walks the messages of a chunk from an offset on; packed batches are unpacked when it comes to them. */
export class MessageCursor {
  readonly message = new MessagePlace()
  #at = 0
  #entriesLeft: number
  #index = 0
  #batch: { readonly bytes: Buffer; at: number; left: number } | null = null

  constructor(
    private readonly chunk: StreamChunk,
    private readonly from = chunk.first,
  ) {
    this.#entriesLeft = chunk.entries
  }

  /** Messages not walked yet. */
  get left(): number {
    return this.chunk.messages - this.#index
  }

  /** Moves to the next message; false at the end. Throws DamagedChunk or PackedOtherwise. */
  next(): boolean {
    while (this.#step()) if (this.message.offset >= this.from) return true
    return false
  }

  #step(): boolean {
    while (!this.#batch) {
      if (this.#entriesLeft === 0) return this.#end()
      this.#entriesLeft--
      const { data } = this.chunk
      this.#need(data, this.#at, 4)
      if (data[this.#at]! & 0x80) this.#unpack()
      else {
        this.#at = this.#take(data, this.#at)
        return true
      }
    }
    const batch = this.#batch
    batch.at = this.#take(batch.bytes, batch.at)
    if (--batch.left === 0) this.#batch = null
    return true
  }

  #end(): false {
    const { chunk } = this
    if (this.#index !== chunk.messages)
      throw this.#damage(`the chunk has ${this.#index} messages and says ${chunk.messages}`)
    return false
  }

  #take(bytes: Buffer, at: number): number {
    this.#need(bytes, at, 4)
    const length = bytes.readUInt32BE(at)
    this.#need(bytes, at + 4, length)
    if (this.#index === this.chunk.messages) throw this.#damage(`the chunk has more messages than it says`)
    const { message } = this
    message.offset = this.chunk.first + BigInt(this.#index++)
    message.bytes = bytes
    message.start = at + 4
    message.end = at + 4 + length
    return message.end
  }

  #unpack(): void {
    const { data } = this.chunk
    this.#need(data, this.#at, 11)
    const kind = (data[this.#at]! >> 4) & 0x07
    const left = data.readUInt16BE(this.#at + 1)
    const unpacked = data.readUInt32BE(this.#at + 3)
    const length = data.readUInt32BE(this.#at + 7)
    const start = this.#at + 11
    this.#need(data, start, length)
    this.#at = start + length
    if (left === 0) return
    const first = this.chunk.first + BigInt(this.#index)
    const next = first + BigInt(left)
    if (next <= this.from) {
      this.#index += left
      return
    }
    if (!isCodec(kind)) throw new PackedOtherwise(first > this.from ? first : this.from, next, left, kind)
    this.#batch = { bytes: this.#decompress(kind, data.subarray(start, start + length), unpacked, next), at: 0, left }
  }

  #decompress(codec: number, packed: Buffer, size: number, next: bigint): Buffer {
    if (size > most) throw this.#damage(`a packed batch says it has ${size} bytes`, next)
    try {
      return decompress(codec, packed, size)
    } catch {
      throw this.#damage("a packed batch can't be unpacked", next)
    }
  }

  #need(bytes: Buffer, at: number, count: number): void {
    if (at + count > bytes.length) throw this.#damage('a message is longer than what holds it')
  }

  #damage(what: string, next: bigint | null = null): DamagedChunk {
    return new DamagedChunk(this.chunk.first + BigInt(this.#index), what, next)
  }
}

/** What a chunk takes in memory once it is unpacked, about. */
export function memoryOf({ data, entries, messages }: StreamChunk): number {
  let bytes = data.length + messages * perMessage
  for (let at = 0, i = 0; i < entries && at + 11 <= data.length; i++) {
    if (!(data[at]! & 0x80)) at += 4 + data.readUInt32BE(at)
    else {
      bytes += Math.min(data.readUInt32BE(at + 3), most)
      at += 11 + data.readUInt32BE(at + 7)
    }
  }
  return bytes
}
