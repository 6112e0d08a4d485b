import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import type { OutputRecord } from '../../ports/index.js'
import { Writer } from './wire-format.js'

const gzip = promisify(zlib.gzip)

/** Where the part that the checksum covers begins: behind offset, length, leader epoch, magic and the checksum itself. */
const crcEnd = 21
const headerLength = 61
const transactionalBit = 16

/** Who writes a batch. Brokers refuse what does not come in sequence, and drop what comes twice. KIP-98. */
export interface ProducerIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly transactionalId: string | null
}

export type Compression = 'none' | 'gzip'

/** About what a record takes in a batch. */
export function sizeOf({ key, value, headers }: OutputRecord): number {
  let size = 24 + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, bytes] of headers) size += 8 + name.length + (bytes?.length ?? 0)
  return size
}

/** A record batch of format 2, as it is stored. */
export async function encodeBatch(
  records: readonly OutputRecord[],
  firstSequence: number,
  { producerId, producerEpoch, transactionalId }: ProducerIdentity,
  compression: Compression,
): Promise<Buffer> {
  const now = BigInt(Date.now())
  const written = encodeRecords(records)
  const body = compression === 'gzip' ? await gzip(written) : written
  const attributes = (compression === 'gzip' ? 1 : 0) | (transactionalId === null ? 0 : transactionalBit)
  const batch = new Writer(headerLength + body.length)
    .int64(0n)
    .int32(headerLength - 12 + body.length)
    .int32(-1)
    .int8(2)
    .int32(0)
    .int16(attributes)
    .int32(records.length - 1)
    .int64(now)
    .int64(now)
    .int64(producerId)
    .int16(producerEpoch)
    .int32(firstSequence)
    .int32(records.length)
    .raw(body).bytes
  batch.writeUInt32BE(crc32c(batch.subarray(crcEnd)), crcEnd - 4)
  return batch
}

function encodeRecords(records: readonly OutputRecord[]): Buffer {
  const all = new Writer(records.reduce((bytes, record) => bytes + sizeOf(record), 0))
  const one = new Writer(1024)
  for (const [index, { key, value, headers }] of records.entries()) {
    one.clear().int8(0).varint(0).varint(index).field(key).field(value).varint(headers.length)
    for (const [name, bytes] of headers) one.field(Buffer.from(name)).field(bytes)
    all.varint(one.length).raw(one.bytes)
  }
  return all.bytes
}
