import type { AbortedTransaction } from './fetch.js'
import type { RecordBatch } from './record-batch.js'

/** Type of a control record, in its key behind a version of two bytes. https://kafka.apache.org/documentation/#controlbatch */
const abortMarker = 0

/**
 * The batches of one fetch that hold messages for a reader of committed data. A producer's transaction is aborted from the
 * first offset the broker names for it to the producer's ABORT marker; transactions of several producers may overlap.
 */
export function visibleBatches(
  batches: readonly RecordBatch[],
  aborted: readonly AbortedTransaction[],
): Set<RecordBatch> {
  const visible = new Set<RecordBatch>()
  const waiting = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const open = new Set<bigint>()
  let next = 0
  for (const batch of batches) {
    while (next < waiting.length && waiting[next]!.firstOffset < batch.nextOffset) open.add(waiting[next++]!.producerId)
    if (batch.control) {
      if (isAbort(batch)) open.delete(batch.producerId)
    } else if (!(batch.transactional && open.has(batch.producerId))) visible.add(batch)
  }
  return visible
}

function isAbort({ body, count }: RecordBatch): boolean {
  // length, attributes, timestamp delta and offset delta come first; in a control batch each of them but the length is one
  // byte, except where a broker wrote a later timestamp: so the varints are skipped one by one.
  if (count === 0) return false
  let at = 0
  const skip = () => {
    while (body[at++]! & 0x80);
  }
  skip()
  at++
  skip()
  skip()
  skip()
  return body.readInt16BE(at + 2) === abortMarker
}
