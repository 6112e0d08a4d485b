import { isTidemarkError } from '../../src/model/errors.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { Delivery } from './delivery.js'

/** What makes Tidemark let go of a handler in the middle of a chunk. */
export interface Stop {
  readonly signal: AbortSignal
  /** The end of the worker: one of the reasons for `signal`. */
  readonly worker: AbortSignal
}

export function stopOf({ stopped: worker }: Pick<ConsumerRuntime, 'stopped'>, { stopped }: Delivery): Stop {
  return { worker, signal: stopped ? AbortSignal.any([worker, stopped]) : worker }
}

/**
 * Lets go of a handler that does not end when it has to. Its transaction is rolled back; its promise is left alone.
 *
 * @throws Error when the signal aborts first, CHUNK_TIMEOUT where that is the reason; what `work` throws
 */
export async function untilStopped<T>(work: Promise<T>, { signal, worker }: Stop): Promise<T> {
  let onStop = () => {}
  const end = new Promise<never>((_, reject) => {
    onStop = () => {
      if (isTidemarkError(signal.reason)) return reject(signal.reason)
      const what = worker.aborted ? 'the worker stopped' : 'the partition was taken back'
      reject(new Error(`${what} before the handler was done; the chunk is handled again`))
    }
    if (signal.aborted) onStop()
    else signal.addEventListener('abort', onStop, { once: true })
  })
  try {
    return await Promise.race([work, end])
  } finally {
    signal.removeEventListener('abort', onStop)
  }
}
