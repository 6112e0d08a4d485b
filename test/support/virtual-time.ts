import { vi } from 'vitest'

/** Time that passes as fast as a test can compute. Needs `virtual-sleep.js` in the place of `node:timers/promises`. */
export const virtualTime = {
  begin: () => void vi.useFakeTimers(),
  end: () => void vi.useRealTimers(),
  /** Lets so many ms pass. */
  pass: (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms),
  /** Lets time pass until the promise is settled. @throws Error when that takes longer than an hour */
  until: async <T>(promise: Promise<T>): Promise<T> => {
    const deadline = Date.now() + 3_600_000
    let settled = false
    const note = () => {
      settled = true
    }
    promise.then(note, note)
    for (;;) {
      // What the last timer has set off goes on until it waits for another one.
      await vi.advanceTimersByTimeAsync(0)
      if (settled) return promise
      if (vi.getTimerCount() === 0) throw new Error('nothing is left that could settle the promise')
      if (Date.now() > deadline) throw new Error('the promise was not settled within an hour')
      await vi.advanceTimersToNextTimerAsync()
    }
  },
}

/** A handler's work of so many ms. */
export const working = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
