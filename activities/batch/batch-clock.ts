import type { BatchInput } from '../../src/model/batch.js'
import type { BatchLimits } from '../../src/model/settings.js'

/** The longest that a waiting partition goes without checking whether the batch has ended, ms. */
const longestWaitMs = 60_000

/** When a batch is to end: it is full, old, or quiet. */
export class BatchClock {
  readonly #maxDurationMs: number
  #firstMessageAt: number | null = null
  #lastMessageAt = performance.now()

  constructor(
    private readonly limits: BatchLimits,
    private readonly input: Pick<BatchInput, 'apart' | 'closesInMs'>,
  ) {
    this.#maxDurationMs = Math.min(limits.maxDurationMs, input.closesInMs ?? Number.POSITIVE_INFINITY)
  }

  /** A partition has got messages. */
  received(): void {
    this.#firstMessageAt ??= performance.now()
    this.#lastMessageAt = performance.now()
  }

  /** What has come can't be handled for now, and nothing else was. */
  waits(): void {
    this.#firstMessageAt = null
  }

  /** A partition has handled what it had in hand. */
  handled(): void {
    this.#lastMessageAt = performance.now()
  }

  /**
   * Why the batch is to end now, if it is.
   *
   * @param messages that the asking partition has handled in this batch
   * @param isAtWork whether any partition is in a call of its handler, or its decoder: then the batch is not quiet
   */
  due(messages: number, isAtWork: boolean): 'more' | 'rest' | null {
    const now = performance.now()
    if (messages >= this.limits.maxMessages) return 'more'
    if (this.#firstMessageAt !== null && now - this.#firstMessageAt >= this.#maxDurationMs) return 'more'
    if (now - this.#lastMessageAt >= this.limits.restAfterMs && !isAtWork) return 'rest'
    // One that was worked apart and has handled something goes back to its neighbours.
    return this.input.apart && messages > 0 ? 'more' : null
  }

  /** How long a partition may wait for messages before the batch has to look whether it is over, ms. */
  get waitMs(): number {
    const now = performance.now()
    const closesIn =
      this.#firstMessageAt === null ? Number.POSITIVE_INFINITY : this.#firstMessageAt + this.#maxDurationMs - now
    const restsIn = this.#lastMessageAt + this.limits.restAfterMs - now
    return Math.max(1, Math.min(longestWaitMs, closesIn, restsIn))
  }
}
