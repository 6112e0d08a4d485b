import { TidemarkError } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Stop } from './until-stopped.js'

/** What makes Tidemark let go of one chunk: what stops all of them, or the end of its own time. */
export interface ChunkStop extends Stop {
  /** The chunk is over. */
  end(): void
}

/**
 * Gives a chunk its time, the consumer's option `chunkTimeout`. The timer and the listener are held here, and end with the chunk: nothing
 * that lives as long as the worker collects them.
 */
export function stopOfChunk(stop: Stop, key: PartitionKey, offset: bigint, timeoutMs: number | null): ChunkStop {
  if (timeoutMs === null) return { ...stop, end: () => {} }
  const own = new AbortController()
  const late = () => own.abort(chunkTimedOut(key, offset, timeoutMs))
  const stopped = () => own.abort(stop.signal.reason)
  const timer = setTimeout(late, timeoutMs)
  if (stop.signal.aborted) stopped()
  else stop.signal.addEventListener('abort', stopped, { once: true })
  return {
    signal: own.signal,
    worker: stop.worker,
    end: () => {
      clearTimeout(timer)
      stop.signal.removeEventListener('abort', stopped)
    },
  }
}

function chunkTimedOut(key: PartitionKey, offset: bigint, timeoutMs: number): TidemarkError {
  return new TidemarkError(
    'CHUNK_TIMEOUT',
    `the handler of group ${key.group} was not done with the chunk of ${describePartition(key)} at offset ${offset} within ${timeoutMs} ms ` +
      '(chunkTimeout); the chunk was rolled back and is handled again',
    { place: { ...key, offset: String(offset) } },
  )
}
