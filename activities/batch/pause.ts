import type { RetrySettings } from '../../src/model/settings.js'

/**
 * Pause before an attempt, ms. The failed attempt names it, so that these pauses hold for handlers that fail: a batch whose worker is gone
 * is tried again at once.
 */
export function pauseBefore(attempt: number, retry: RetrySettings): number {
  const pause = retry.initialIntervalMs * retry.backoff ** (attempt - 2)
  return Math.min(pause, retry.maximumIntervalMs)
}
