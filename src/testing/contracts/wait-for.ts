import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../model/errors.js'

export interface WaitOptions {
  /** Milliseconds; 20,000 unless told. */
  readonly timeout?: number
  /** What is awaited, for the error: `the offset to reach 5`. */
  readonly what: string | (() => string)
}

/**
 * Polls until `condition` gives something truthy and returns that. A condition that throws counts as not yet true; the
 * last error becomes the cause when the time is over.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const timeout = options.timeout ?? 20_000
  const deadline = performance.now() + timeout
  let last: { value?: unknown; error?: unknown } = {}
  for (let pause = 5; ; pause = Math.min(pause * 1.5, 200)) {
    try {
      const value = await condition()
      if (value) return value as Exclude<T, false | null | undefined>
      last = { value }
    } catch (error) {
      last = { error }
    }
    if (performance.now() + pause > deadline) throw tooLate(options.what, timeout, last)
    await delay(pause)
  }
}

function tooLate(what: string | (() => string), timeout: number, last: { value?: unknown; error?: unknown }): Error {
  const seen = 'error' in last ? messageOf(last.error) : String(last.value)
  return new Error(`waited ${timeout} ms for ${typeof what === 'function' ? what() : what}; last: ${seen}`, {
    cause: last.error,
  })
}
