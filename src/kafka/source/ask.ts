import type { FetchedPartition } from './fetch.js'

/** What one reader wants next. */
export interface Ask {
  readonly partition: number
  readonly from: bigint
  readonly maxBytes: number
  /** That of the partition's leader, -1 where it is not known: a broker that knows another one refuses. */
  readonly leaderEpoch: number
  /**
   * - `unseen`  nobody has asked yet how far the partition goes
   * - `more`    there is something at `from`
   * - `nothing` the partition ends at `from`: the broker waits for what comes
   * - `missed`  there is something, but the last answer did not bring it: it is larger than what was asked for
   */
  readonly expects: 'unseen' | 'more' | 'nothing' | 'missed'
}

/** An ask on its way: pending, then part of one Fetch after the other until somebody has to look at the answer. */
export class OpenAsk {
  readonly since = performance.now()
  /** Null where the broker only said that it throttles. */
  readonly answered: Promise<FetchedPartition | null>
  #settled = false
  #resolve: (answer: FetchedPartition | null) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  readonly #onAbort = () => this.fail(this.signal.reason)

  constructor(
    readonly ask: Ask,
    private readonly signal: AbortSignal,
  ) {
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** True once it was answered, or once the reader has left. */
  get settled(): boolean {
    return this.#settled
  }

  answer(answer: FetchedPartition | null): void {
    this.#settle()
    this.#resolve(answer)
  }

  fail(error: unknown): void {
    this.#settle()
    this.#reject(error)
  }

  #settle(): void {
    this.#settled = true
    this.signal.removeEventListener('abort', this.#onAbort)
  }
}
