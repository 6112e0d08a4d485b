/**
 * - `new`      nobody has looked yet whether there is something
 * - `looking`  its partition's offsets are asked for
 * - `idle`     it stands where its partition ends, and is part of the next long poll
 * - `polled`   it is part of a long poll
 * - `resting`  it is looked at again after a pause
 */
export type WaiterState = 'new' | 'looking' | 'idle' | 'polled' | 'resting'

/** One who waits until there is something at a position. */
export interface Waiter {
  readonly partition: number
  readonly position: bigint
  /** Ends the wait. */
  readonly leave: (found: boolean) => void
  state: WaiterState
  /** Failures in a row. */
  tries: number
}

/** All who wait at the moment. */
export class Waiters {
  readonly #all = new Set<Waiter>()
  /** Those whose last look or long poll has failed. */
  readonly #troubled = new Set<Waiter>()

  get size(): number {
    return this.#all.size
  }

  has(waiter: Waiter): boolean {
    return this.#all.has(waiter)
  }

  in(state: WaiterState): Waiter[] {
    return [...this.#all].filter((waiter) => waiter.state === state)
  }

  /** Resolves when the waiter leaves: with what it was told, or with false when `signal` aborts. */
  join(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const onAbort = () => waiter.leave(false)
      const leave = (found: boolean) => {
        this.#all.delete(waiter)
        this.#troubled.delete(waiter)
        signal.removeEventListener('abort', onAbort)
        resolve(found)
      }
      const waiter: Waiter = { partition, position, leave, state: 'new', tries: 0 }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#all.add(waiter)
    })
  }

  /** Notes a failure: the waiter rests. */
  failed(waiter: Waiter): void {
    waiter.state = 'resting'
    waiter.tries++
    if (this.#all.has(waiter)) this.#troubled.add(waiter)
  }

  /** Notes a success. True when nobody is in trouble now. */
  worked(waiter: Waiter): boolean {
    waiter.tries = 0
    this.#troubled.delete(waiter)
    return this.#troubled.size === 0
  }

  /** All of them leave. */
  clear(): void {
    for (const waiter of this.#all) waiter.leave(false)
  }
}
