import { setTimeout as sleep } from 'node:timers/promises'

const firstMs = 50
const longestMs = 3_000

/** Pauses that double from try to try, with jitter, so that many readers do not come back at the same moment. */
export class Backoff {
  #next = firstMs

  reset(): void {
    this.#next = firstMs
  }

  /** Resolves early when `signal` aborts. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = this.#next * (0.5 + Math.random() / 2)
    this.#next = Math.min(this.#next * 2, longestMs)
    await sleep(ms, undefined, { signal }).catch(() => {})
  }
}
