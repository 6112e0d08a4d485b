import { joined } from '../../src/model/signals.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { Delivery } from './delivery.js'

/** What makes Tidemark let go of a handler in the middle of a chunk. */
export interface Stop {
  readonly worker: AbortSignal
  /** Takes back this partition alone. */
  readonly partition?: AbortSignal
}

export function stopOf({ stopped: worker }: Pick<ConsumerRuntime, 'stopped'>, { stopped }: Delivery): Stop {
  return { worker, ...(stopped && { partition: stopped }) }
}

/**
 * Lets go of a handler that does not end when it has to. Its transaction is rolled back; its promise is left alone.
 *
 * @param chunk aborted then, for the handler; aborting it earlier ends the chunk, too. It belongs to this chunk alone, because handlers add
 *   listeners that they never remove
 * @throws Error when one of them aborts first; what `work` throws
 */
export async function untilStopped<T>(
  work: Promise<T>,
  { worker, partition }: Stop,
  chunk?: AbortController,
): Promise<T> {
  const either = joined(worker, partition)
  const { signal } = either
  const end = new Promise<never>((_, reject) => {
    const onStop = () => {
      const what = worker.aborted ? 'the worker stopped' : 'the partition was taken back'
      const error = new Error(`${what} before the handler was done; the chunk is handled again`)
      chunk?.abort(error)
      reject(error)
    }
    if (signal.aborted) onStop()
    else signal.addEventListener('abort', onStop, { once: true })
    chunk?.signal.addEventListener('abort', () => reject(chunk.signal.reason), { once: true })
  })
  try {
    return await Promise.race([work, end])
  } finally {
    either.leave()
  }
}
