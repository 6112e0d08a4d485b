/**
 * Temporal's time, as far as an activity can know it: what Temporal said when it handed the activity out, and what has passed here since. It
 * is what retries and delays are counted by: workers' clocks need not agree, and in tests time that is skipped counts.
 */
export class TemporalClock {
  readonly #began = performance.now()

  /** @param handedOutAt when Temporal scheduled this try, ms since 1970 */
  constructor(private readonly handedOutAt: number) {}

  now(): number {
    return Math.round(this.handedOutAt + performance.now() - this.#began)
  }
}
