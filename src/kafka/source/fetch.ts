/**
 * Reads the body of a Fetch v11 response. Every partition carries its own error code; one partition's trouble says nothing
 * about the others. https://kafka.apache.org/protocol#The_Messages_Fetch
 */
export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  /** The head: offset of the next message to be written. */
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  /** Transactions that were aborted, as far as they touch these records, by their first offset. */
  readonly aborted: readonly AbortedTransaction[]
  /** Node to ask instead, where the request named a rack; otherwise -1. The records are empty then. KIP-392. */
  readonly preferredReplica: number
  /** Record batches, the last one possibly cut off. A view of the response, not a copy. */
  readonly records: Buffer
}

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

export interface FetchResponse {
  /** The broker asks to wait so long before the next request. */
  readonly throttleMs: number
  readonly errorCode: number
  readonly partitions: readonly FetchedPartition[]
}

/**
 * Reads a response to a request for partitions of one topic.
 *
 * @throws RangeError when it is cut off
 */
export function readFetchResponse(body: Buffer): FetchResponse {
  const throttleMs = body.readInt32BE(0)
  const errorCode = body.readInt16BE(4)
  const topics = body.readInt32BE(10)
  const partitions: FetchedPartition[] = []
  let at = 14
  for (let topic = 0; topic < topics; topic++) {
    at += 2 + body.readInt16BE(at)
    const count = body.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++) {
      const partition = body.readInt32BE(at)
      const errorCode = body.readInt16BE(at + 4)
      const highWatermark = body.readBigInt64BE(at + 6)
      const lastStableOffset = body.readBigInt64BE(at + 14)
      // log_start_offset takes the eight bytes at + 22
      const abortedCount = body.readInt32BE(at + 30)
      at += 34
      const aborted: AbortedTransaction[] = []
      for (let j = 0; j < abortedCount; j++, at += 16)
        aborted.push({ producerId: body.readBigInt64BE(at), firstOffset: body.readBigInt64BE(at + 8) })
      const preferredReplica = body.readInt32BE(at)
      const size = Math.max(0, body.readInt32BE(at + 4))
      at += 8
      if (at + size > body.length) throw new RangeError('the response is cut off')
      partitions.push({
        partition,
        errorCode,
        highWatermark,
        lastStableOffset,
        aborted,
        preferredReplica,
        records: body.subarray(at, at + size),
      })
      at += size
    }
  }
  return { throttleMs, errorCode, partitions }
}
