import { pauseFor } from '../../model/pause.js'

/** What `promise` gives if it does so within `ms` and before the signal aborts, else undefined. It goes on by itself. */
export function within<T>(promise: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | undefined> {
  const over = new AbortController()
  const abort = () => over.abort()
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  return Promise.race([promise, pauseFor(ms, over.signal).then(() => undefined)]).finally(() => {
    signal?.removeEventListener('abort', abort)
    abort()
  })
}

/** What `promise` gives, or a rejection with the signal's reason as soon as that aborts. A server that is gone may never answer. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
