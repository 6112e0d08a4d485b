import { crc32c } from '@node-rs/crc32'
import { decompress } from '../../reading/compression.js'

/*
 * Record batches, format v2. https://kafka.apache.org/documentation/#recordbatch
 */

/** One batch of a record set, unpacked. */
export interface RecordBatch {
  readonly baseOffset: bigint
  /** Where the log goes on behind it. Compaction may have removed its last records, or all of them; this stays. */
  readonly nextOffset: bigint
  /** Of the leader that wrote it; -1 where brokers did not know epochs yet. */
  readonly leaderEpoch: number
  readonly count: number
  readonly baseTimestamp: number
  /** Set when the topic stamps messages itself (LogAppendTime): the time of all of the batch's records. */
  readonly logAppendTime: number | null
  readonly producerId: bigint
  readonly transactional: boolean
  /** A transaction marker rather than messages. */
  readonly control: boolean
  /** The records, decompressed. */
  readonly body: Buffer
}

/** A batch that can't be read: cut, damaged, or of a format from before Kafka 0.11. */
export class DamagedBatch extends Error {
  constructor(
    readonly baseOffset: bigint,
    problem: string,
  ) {
    super(problem)
  }
}

const lengthEnd = 12
const epochAt = 12
const magicAt = 16
const headerEnd = 61
const crcEnd = 21

export interface RecordSet {
  readonly batches: readonly RecordBatch[]
  /** Bytes behind the batches: one that was cut off, or a damaged one and what follows it. */
  readonly rest: number
}

/**
 * Reads the whole batches of a record set. A last one that is cut off belongs to the next fetch, and so does a damaged one:
 * what stands in front of it can still be handled.
 *
 * @throws DamagedBatch when the first batch is damaged
 */
export function readBatches(records: Buffer): RecordSet {
  const batches: RecordBatch[] = []
  let at = 0
  while (records.length - at >= lengthEnd) {
    const length = records.readInt32BE(at + 8)
    const end = at + lengthEnd + Math.max(length, 0)
    if (end > records.length) break
    try {
      batches.push(readBatch(records.subarray(at, end)))
    } catch (error) {
      if (batches.length === 0) throw error
      break
    }
    at = end
  }
  return { batches, rest: records.length - at }
}

/** The leader epoch of a record set's first batch, where that batch holds an offset; otherwise null. */
export function epochAround(offset: bigint, records: Buffer): number | null {
  if (records.length < crcEnd || records.readInt8(magicAt) !== 2) return null
  return records.readBigInt64BE(0) <= offset ? records.readInt32BE(epochAt) : null
}

function readBatch(batch: Buffer): RecordBatch {
  const baseOffset = batch.readBigInt64BE(0)
  const magic = batch.length > magicAt ? batch.readInt8(magicAt) : 2
  if (magic !== 2)
    throw new DamagedBatch(baseOffset, `record format ${magic} is not supported; Kafka writes format 2 since 0.11`)
  if (batch.length < headerEnd) throw new DamagedBatch(baseOffset, 'the batch is shorter than its header')
  const crc = batch.readUInt32BE(17)
  if (crc32c(batch.subarray(crcEnd)) !== crc) throw new DamagedBatch(baseOffset, 'its checksum (CRC-32C) is wrong')
  const attributes = batch.readInt16BE(21)
  let body: Buffer
  try {
    body = decompress(attributes & 0b111, batch.subarray(headerEnd))
  } catch (error) {
    throw new DamagedBatch(baseOffset, `it can't be decompressed: ${error instanceof Error ? error.message : error}`)
  }
  const maxTimestamp = Number(batch.readBigInt64BE(35))
  return {
    baseOffset,
    nextOffset: baseOffset + BigInt(batch.readInt32BE(23)) + 1n,
    leaderEpoch: batch.readInt32BE(epochAt),
    count: batch.readInt32BE(57),
    baseTimestamp: Number(batch.readBigInt64BE(27)),
    logAppendTime: attributes & 0b1000 ? maxTimestamp : null,
    producerId: batch.readBigInt64BE(43),
    transactional: (attributes & 0b10000) !== 0,
    control: (attributes & 0b100000) !== 0,
    body,
  }
}
