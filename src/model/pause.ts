/** Node's timers count ms in 31 bits, and fire at once when asked for more. */
export const longestTimer = 2 ** 31 - 1

/**
 * Waits so many milliseconds, or until `signal` aborts. Never rejects, so callers look at the signal afterwards. Uses the
 * global timers because the model imports nothing, not even Node's own modules.
 */
export function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, Math.min(ms, longestTimer))
    signal.addEventListener('abort', end, { once: true })
  })
}
