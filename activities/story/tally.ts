/** What happened in a span of time. */
export interface Tally {
  readonly messages: number
  readonly perSecond: number
  readonly failures: number
  /** Offsets between what is handled and the heads as last seen; of partitions that are held. Null where none was seen. */
  readonly lag: bigint | null
}

/** Counts what a worker handles of one consumer. */
export class TallySheet {
  #since = performance.now()
  #messages = 0
  #failures = 0
  readonly #lags = new Map<number, bigint>()

  handled(partition: number, messages: number, next: bigint, head: bigint): void {
    this.#messages += messages
    this.#lags.set(partition, head > next ? head - next : 0n)
  }

  failed(): void {
    this.#failures++
  }

  /** Sums up, and begins anew. */
  take(held: readonly number[]): Tally {
    const seconds = Math.max(1, (performance.now() - this.#since) / 1_000)
    const messages = this.#messages
    const keep = new Set(held)
    for (const partition of this.#lags.keys()) if (!keep.has(partition)) this.#lags.delete(partition)
    const lags = [...this.#lags.values()]
    const tally = {
      messages,
      perSecond: Math.round((messages / seconds) * 10) / 10,
      failures: this.#failures,
      lag: lags.length === 0 ? null : lags.reduce((sum, lag) => sum + lag, 0n),
    }
    this.#since = performance.now()
    this.#messages = this.#failures = 0
    return tally
  }
}
