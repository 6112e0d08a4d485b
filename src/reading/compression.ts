import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import { snappyPieces, unpackedSize } from './snappy.js'

/** Kafka and RabbitMQ number them alike: in a record batch's attributes (KIP-110 added zstd), in a sub-entry batch's first byte. */
const names = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Codecs load with the first batch that needs one. */
const load = createRequire(import.meta.url)

/** More than a batch can have become without damage. */
const anything = 0x7fff_ffff

export function isCodec(codec: number): boolean {
  return names[codec] !== undefined
}

/**
 * @param most bytes that the result may have
 * @throws Error when the data is damaged, the result would be larger, or the codec is unknown
 */
export function decompress(codec: number, data: Buffer, most: number = anything): Buffer {
  switch (names[codec]) {
    case 'none':
      return data
    case 'gzip':
      return zlib.gunzipSync(data, { maxOutputLength: Math.max(1, most) })
    case 'snappy':
      return unsnappy(data, most)
    case 'lz4':
      return within(most, (load('lz4-napi') as typeof import('lz4-napi')).decompressFrameSync(data))
    case 'zstd':
      return within(most, unzstd(data, most))
    default:
      throw new Error(`compression codec ${codec} is unknown`)
  }
}

function unsnappy(data: Buffer, most: number): Buffer {
  const { uncompressSync } = load('snappy') as typeof import('snappy')
  const pieces = snappyPieces(data)
  let size = 0
  for (const { packed, bytes } of pieces) size += packed ? unpackedSize(bytes) : bytes.length
  // Asked first: the codec takes the memory that a block says it needs.
  if (size > most) throw tooLarge(size, most)
  const unpacked = pieces.map(({ packed, bytes }) =>
    packed ? (uncompressSync(bytes, { asBuffer: true }) as Buffer) : bytes,
  )
  return unpacked.length === 1 ? unpacked[0]! : Buffer.concat(unpacked)
}

function unzstd(data: Buffer, most: number): Buffer {
  // Node has it natively from 22.15 on.
  const native = Reflect.get(zlib, 'zstdDecompressSync') as
    | ((data: Buffer, options: { maxOutputLength: number }) => Buffer)
    | undefined
  if (native) return native(data, { maxOutputLength: Math.max(1, most) })
  const { decompress } = load('fzstd') as typeof import('fzstd')
  const bytes = decompress(data)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function within(most: number, bytes: Buffer): Buffer {
  if (bytes.length > most) throw tooLarge(bytes.length, most)
  return bytes
}

function tooLarge(size: number, most: number): Error {
  return new RangeError(`the batch has ${size} bytes unpacked, and may have ${most}`)
}
