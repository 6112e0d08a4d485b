import { TidemarkError } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'

/** Where a chunk begins. */
interface Place {
  readonly key: PartitionKey
  readonly offset: bigint
}

/**
 * Gives a chunk its time, the consumer's option `chunkTimeout`: `chunk` is aborted when it is over.
 *
 * @param timeoutMs null: as long as it takes
 * @returns what to call when the chunk is done
 */
export function endAfter(timeoutMs: number | null, chunk: AbortController, { key, offset }: Place): () => void {
  if (timeoutMs === null) return () => {}
  const timer = setTimeout(() => chunk.abort(chunkTimedOut(key, offset, timeoutMs)), timeoutMs)
  return () => clearTimeout(timer)
}

function chunkTimedOut(key: PartitionKey, offset: bigint, timeoutMs: number): TidemarkError {
  return new TidemarkError(
    'CHUNK_TIMEOUT',
    `the handler of group ${key.group} was not done with the chunk of ${describePartition(key)} at offset ${offset} within ${timeoutMs} ms ` +
      '(chunkTimeout); the chunk was rolled back and is handled again',
    { place: { ...key, offset: String(offset) } },
  )
}
