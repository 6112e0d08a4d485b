import { createRequire } from 'node:module'
import zlib from 'node:zlib'

/** Compression of a record batch, by the lowest three bits of its attributes. KIP-110 added zstd. */
const names = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Codecs load with the first batch that needs one. */
const load = createRequire(import.meta.url)

/** @throws Error when the data is damaged or the codec is unknown */
export function decompress(codec: number, data: Buffer): Buffer {
  switch (names[codec]) {
    case 'none':
      return data
    case 'gzip':
      return zlib.gunzipSync(data)
    case 'snappy':
      return unsnappy(data)
    case 'lz4':
      return (load('lz4-napi') as typeof import('lz4-napi')).decompressFrameSync(data)
    case 'zstd':
      return unzstd(data)
    default:
      throw new Error(`compression codec ${codec} is unknown`)
  }
}

/** The Java client wraps Snappy blocks in the framing of xerial's snappy-java: a header of 16 bytes, then sized blocks. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])

function unsnappy(data: Buffer): Buffer {
  const { uncompressSync } = load('snappy') as typeof import('snappy')
  const block = (bytes: Buffer) => uncompressSync(bytes, { asBuffer: true }) as Buffer
  if (!data.subarray(0, xerialMagic.length).equals(xerialMagic)) return block(data)
  const blocks: Buffer[] = []
  for (let at = 16; at < data.length; ) {
    const size = data.readInt32BE(at)
    blocks.push(block(data.subarray(at + 4, at + 4 + size)))
    at += 4 + size
  }
  return Buffer.concat(blocks)
}

function unzstd(data: Buffer): Buffer {
  // Node has it natively from 22.15 on.
  const native = Reflect.get(zlib, 'zstdDecompressSync') as ((data: Buffer) => Buffer) | undefined
  if (native) return native(data)
  const { decompress } = load('fzstd') as typeof import('fzstd')
  const bytes = decompress(data)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
