import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import { crc32c } from '@node-rs/crc32'

/*
 * Writes what brokers send: record batches of format v2 and bodies of Fetch v11 responses. Written from the specification
 * and apart from the source's decoder, so that one does not repeat the other's mistakes.
 * https://kafka.apache.org/documentation/#messageformat
 */

const load = createRequire(import.meta.url)

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]

export interface TestRecord {
  readonly offset: number | bigint
  readonly key?: string | Buffer | null
  readonly value?: string | Buffer | null
  readonly timestamp?: number
  readonly headers?: readonly (readonly [name: string, value: string | Buffer | null])[]
}

export interface BatchOptions {
  readonly codec?: Codec
  /** Compresses instead of `codec`'s own way, for framings. */
  readonly compress?: (data: Buffer) => Buffer
  /** Where the batch begins and ends, where compaction has removed its first or last records. */
  readonly base?: number | bigint
  readonly last?: number | bigint
  readonly logAppendTime?: number
  readonly producerId?: number | bigint
  readonly transactional?: boolean
  readonly control?: boolean
  /** Of the leader that wrote it. */
  readonly epoch?: number
}

/** A zigzag varint, or a varlong: the wire does not tell one from the other. */
export function varint(value: number | bigint): Buffer {
  const wide = BigInt(value)
  let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n))
  const bytes: number[] = []
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  return Buffer.from([...bytes, Number(rest)])
}

function sized(value: string | Buffer | null | undefined): Buffer {
  if (value === null || value === undefined) return varint(-1)
  const bytes: Buffer = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([varint(bytes.length), bytes])
}

function encodeRecord(record: TestRecord, base: bigint, baseTimestamp: number): Buffer {
  const headers = record.headers ?? []
  const body = Buffer.concat([
    Buffer.from([0]),
    varint((record.timestamp ?? baseTimestamp) - baseTimestamp),
    varint(BigInt(record.offset) - base),
    sized(record.key),
    sized(record.value),
    varint(headers.length),
    ...headers.flatMap(([name, value]) => [sized(name), sized(value)]),
  ])
  return Buffer.concat([varint(body.length), body])
}

/** A record batch. `records` may be empty: then `base` and `last` say where it was. */
export function batch(records: readonly TestRecord[], options: BatchOptions = {}): Buffer {
  const base = BigInt(options.base ?? records[0]?.offset ?? 0)
  const last = BigInt(options.last ?? records.at(-1)?.offset ?? base)
  const baseTimestamp = records[0]?.timestamp ?? 1_700_000_000_000
  const codec = options.codec ?? 'none'
  const plain = Buffer.concat(records.map((record) => encodeRecord(record, base, baseTimestamp)))
  const body = options.compress ? options.compress(plain) : compress(codec, plain)
  const { logAppendTime, producerId = -1, transactional = false, control = false } = options
  const attributes =
    codecs.indexOf(codec) | (logAppendTime === undefined ? 0 : 8) | (transactional ? 16 : 0) | (control ? 32 : 0)
  const times = records.map(({ timestamp }) => timestamp ?? baseTimestamp)

  const header = Buffer.alloc(61)
  header.writeBigInt64BE(base, 0)
  header.writeInt32BE(49 + body.length, 8)
  header.writeInt32BE(options.epoch ?? 0, 12)
  header.writeInt8(2, 16) // magic
  header.writeInt16BE(attributes, 21)
  header.writeInt32BE(Number(last - base), 23)
  header.writeBigInt64BE(BigInt(baseTimestamp), 27)
  header.writeBigInt64BE(BigInt(logAppendTime ?? Math.max(baseTimestamp, ...times.slice(0, 1000))), 35)
  header.writeBigInt64BE(BigInt(producerId), 43)
  header.writeInt16BE(0, 51) // producer epoch
  header.writeInt32BE(-1, 53) // base sequence
  header.writeInt32BE(records.length, 57)
  const whole = Buffer.concat([header, body])
  whole.writeUInt32BE(crc32c(whole.subarray(21)), 17)
  return whole
}

/** The batch that ends a producer's transaction. */
export function marker(offset: number | bigint, producerId: number | bigint, type: 'commit' | 'abort'): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'commit' ? 1 : 0])
  const value = Buffer.from([0, 0, 0, 0, 0, 7]) // version, coordinator epoch
  return batch([{ offset, key, value }], { producerId, transactional: true, control: true })
}

function compress(codec: Codec, data: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return data
    case 'gzip':
      return zlib.gzipSync(data)
    case 'snappy':
      return snappyBlock(data)
    case 'lz4':
      return (load('lz4-napi') as typeof import('lz4-napi')).compressFrameSync(data as Buffer<ArrayBuffer>)
    case 'zstd':
      return zstdRaw(data)
  }
}

export function snappyBlock(data: Buffer): Buffer {
  return (load('snappy') as typeof import('snappy')).compressSync(data)
}

/** The framing of snappy-java's SnappyOutputStream, which the Java client uses. */
export function xerial(data: Buffer, blockSize = 32 * 1024): Buffer {
  const parts: Buffer[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])]
  for (let at = 0; at < data.length; at += blockSize) {
    const block = snappyBlock(data.subarray(at, at + blockSize))
    const size = Buffer.alloc(4)
    size.writeInt32BE(block.length)
    parts.push(size, block)
  }
  return Buffer.concat(parts)
}

/** A zstd frame of raw blocks: valid, and no smaller than its content. Nothing here can compress to zstd. RFC 8878. */
function zstdRaw(data: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0]), int32LE(data.length)]
  const most = 128 * 1024
  let at = 0
  do {
    const block = data.subarray(at, at + most)
    at += most
    const header = (block.length << 3) | (at >= data.length ? 1 : 0)
    parts.push(Buffer.from([header & 0xff, (header >> 8) & 0xff, (header >> 16) & 0xff]), block)
  } while (at < data.length)
  return Buffer.concat(parts)
}

function int32LE(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export interface TestPartition {
  readonly partition: number
  readonly errorCode?: number
  readonly highWatermark?: number | bigint
  readonly lastStableOffset?: number | bigint
  /** Null as some brokers send it to readers of uncommitted data. */
  readonly aborted?: readonly { producerId: number | bigint; firstOffset: number | bigint }[] | null
  readonly preferredReplica?: number
  readonly records?: Buffer | null
}

/** The body of a Fetch v11 response, behind its header. */
export function fetchResponse(
  partitions: readonly TestPartition[],
  { topic = 'orders', throttleMs = 0, errorCode = 0 } = {},
): Buffer {
  const name = Buffer.from(topic)
  return Buffer.concat([
    int32(throttleMs),
    int16(errorCode),
    int32(0), // session
    int32(1),
    int16(name.length),
    name,
    int32(partitions.length),
    ...partitions.map(encodePartition),
  ])
}

function encodePartition({ partition, errorCode = 0, aborted = [], records, ...rest }: TestPartition): Buffer {
  const head = rest.highWatermark ?? 0
  return Buffer.concat([
    int32(partition),
    int16(errorCode),
    int64(head),
    int64(rest.lastStableOffset ?? head),
    int64(0), // log start
    int32(aborted?.length ?? -1),
    ...(aborted ?? []).flatMap(({ producerId, firstOffset }) => [int64(producerId), int64(firstOffset)]),
    int32(rest.preferredReplica ?? -1),
    int32(records?.length ?? -1),
    records ?? Buffer.alloc(0),
  ])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
