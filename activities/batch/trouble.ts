/**
 * Decides what becomes of partitions whose handler fails, in a batch of many.
 *
 * - `leave` it is worked apart from its neighbours
 * - `stay`  as many are apart as may be: it is tried again in its place
 * - `all`   those that fail have a cause in common, for example a database that is away: the batch backs off as one
 */
export type Verdict = 'leave' | 'stay' | 'all'

/**
 * So many partitions, failing at the same time while nothing succeeds, may each have a trouble of its own. Neighbours that are quiet
 * at the moment must not wait for them.
 */
const coincidence = 4

export class Trouble<P> {
  #mayLeave: number
  readonly #failing = new Set<P>()
  #succeededSince = false
  /** A partition is done with its part: a batch that fails as a whole would make it wait, and lose what it says. */
  #endedWell = false

  constructor(mayLeave: number) {
    this.#mayLeave = mayLeave
  }

  /** A partition has handled something. */
  succeeded(partition: P): void {
    this.#failing.delete(partition)
    this.#succeededSince = true
  }

  /** A partition has failed. A verdict follows, once its neighbours had the time to succeed or fail as well. */
  failed(partition: P): void {
    if (this.#failing.size === 0) this.#succeededSince = false
    this.#failing.add(partition)
  }

  /** The partition has left the batch for another reason. */
  gone(partition: P): void {
    this.#failing.delete(partition)
  }

  /** A partition is done with its part of the batch. */
  ended(): void {
    this.#endedWell = true
  }

  /** @param live how many partitions the batch has, with those that fail */
  judge(partition: P, live: number): Verdict {
    const failing = this.#failing.size
    const common = failing > coincidence || (failing >= live && !this.#endedWell)
    if (failing > 1 && !this.#succeededSince && failing > this.#mayLeave && common) return 'all'
    if (this.#mayLeave <= 0) return 'stay'
    this.#mayLeave--
    this.#failing.delete(partition)
    return 'leave'
  }
}
