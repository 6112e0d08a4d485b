import type { FailureSettings } from '../../src/model/policy.js'
import type { RetrySettings } from '../../src/model/settings.js'
import { pauseBefore } from '../batch/pause.js'

const pauses = new WeakMap<object, number>()

/** Notes when what has failed is to be tried again, ms from now. */
export function retryIn<E extends object>(error: E, ms: number): E {
  pauses.set(error, Math.max(0, Math.round(ms)))
  return error
}

/** What `retryIn` noted; undefined where nothing was. */
export function retryAfter(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null ? pauses.get(error) : undefined
}

const postponed = new WeakSet<object>()

/** Nothing has failed now: the error is an old one, and the time for the next try has not come. */
export function postpone<E extends object>(error: E): E {
  postponed.add(error)
  return error
}

export function isPostponed(error: unknown): boolean {
  return typeof error === 'object' && error !== null && postponed.has(error)
}

/** The pause after a message's try, ms. */
export function pauseAfter(
  tries: number,
  retry: RetrySettings,
  { jitter }: Pick<FailureSettings, 'jitter'>,
  random: () => number = Math.random,
): number {
  return pauseBefore(tries + 1, retry) * (1 + jitter * (2 * random() - 1))
}
