/*
 * Snappy packs blocks, and everybody strings them together differently. Kafka's Java client uses the framing of xerial's
 * snappy-java: a header of 16 bytes, then sized blocks. RabbitMQ's clients use Snappy's own:
 * https://github.com/google/snappy/blob/main/framing_format.txt. Others write one bare block.
 */

/** A piece of the whole: a packed block, or bytes as they are. */
export interface SnappyPiece {
  readonly packed: boolean
  readonly bytes: Buffer
}

const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const framed = Buffer.from([0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59])

/** Takes the framing off. @throws RangeError when it is damaged */
export function snappyPieces(data: Buffer): SnappyPiece[] {
  const begins = (with_: Buffer) => data.subarray(0, with_.length).equals(with_)
  if (begins(xerial)) return xerialPieces(data)
  return begins(framed) ? framedPieces(data) : [{ packed: true, bytes: data }]
}

/** What a block says it will be, bytes: the number in front, seven bits a byte. */
export function unpackedSize(block: Buffer): number {
  let size = 0
  for (let at = 0; at < 5; at++) {
    const byte = block.readUInt8(at)
    size += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return size
  }
  throw new RangeError('a Snappy block has no size')
}

function xerialPieces(data: Buffer): SnappyPiece[] {
  const pieces: SnappyPiece[] = []
  for (let at = 16; at < data.length; ) {
    const size = data.readInt32BE(at)
    pieces.push({ packed: true, bytes: part(data, at + 4, size) })
    at += 4 + size
  }
  return pieces
}

function framedPieces(data: Buffer): SnappyPiece[] {
  const pieces: SnappyPiece[] = []
  for (let at = 0; at < data.length; ) {
    const kind = data.readUInt8(at)
    const size = data.readUIntLE(at + 1, 3)
    const bytes = part(data, at + 4, size)
    // Their first four bytes are a checksum; the chunk of the log around all of it has one of its own.
    if (kind <= 1) pieces.push({ packed: kind === 0, bytes: part(bytes, 4, size - 4) })
    else if (kind < 0x80) throw new RangeError(`Snappy has no chunk of kind ${kind}`)
    at += 4 + size
  }
  return pieces
}

function part(data: Buffer, at: number, size: number): Buffer {
  if (size < 0 || at + size > data.length) throw new RangeError('a Snappy block is longer than what holds it')
  return data.subarray(at, at + size)
}
