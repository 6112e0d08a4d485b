/** A signal that aborts with the first of several others. */
export interface Joined {
  readonly signal: AbortSignal
  /** Leaves the others. Without it they keep this one for as long as they live. */
  leave(): void
}

/**
 * What `AbortSignal.any` is for. That one keeps its parts and its results by weak references: on Node 20 a timeout among them never fires
 * once it was collected, a result that nobody holds is gone with its listeners, and of each result something stays with a part that lives
 * long.
 */
export function joined(...signals: readonly (AbortSignal | undefined)[]): Joined {
  const over = new AbortController()
  const parts = signals.filter((one) => one !== undefined)
  const leave = () => {
    for (const one of parts) one.removeEventListener('abort', abort)
  }
  const abort = (event: Event) => {
    leave()
    over.abort((event.target as AbortSignal).reason)
  }
  const aborted = parts.find((one) => one.aborted)
  if (aborted) over.abort(aborted.reason)
  else for (const one of parts) one.addEventListener('abort', abort, { once: true })
  return { signal: over.signal, leave }
}
