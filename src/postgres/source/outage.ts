import { messageOf } from '../../model/errors.js'
import type { Log } from '../../ports/index.js'

const longestPause = 2_000

/** One connection's good and bad times: it tells each change once, and how long to leave a dead server alone. */
export class Outage {
  #failures = 0

  constructor(
    private readonly log: Log,
    private readonly fields: object,
    /** What does not work meanwhile, for people: `reading orders from Postgres`. */
    private readonly what: string,
  ) {}

  /** Notes a failure and returns the milliseconds to wait before the next try. */
  failed(error: unknown): number {
    if (this.#failures++ === 0)
      this.log.warn({ ...this.fields, error: messageOf(error) }, `${this.what} fails; trying again until it works`)
    return Math.min(longestPause, 50 * 2 ** Math.min(this.#failures - 1, 10)) * (0.75 + Math.random() / 2)
  }

  worked(): void {
    if (this.#failures > 0) this.log.info({ ...this.fields, failures: this.#failures }, `${this.what} works again`)
    this.#failures = 0
  }
}
