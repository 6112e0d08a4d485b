import { setTimeout as sleep } from 'node:timers/promises'
import type { PartitionOutcome } from '../../src/model/batch.js'
import { quickMs } from './closing.js'
import type { Reach } from './reach.js'

/** How often a batch that lets go tells its slice of partitions that are out of it, ms. */
const tellLateEveryMs = 1_000

/**
 * What became of a batch's partitions. The slice is told at once of those that leave while neighbours go on; the rest is in the batch's
 * result.
 */
export class Departures {
  readonly outcomes: PartitionOutcome[] = []
  /** What the slice has not heard of yet. */
  readonly #untold: PartitionOutcome[] = []

  constructor(private readonly reach: Pick<Reach, 'tell'>) {}

  /** Tells the slice now. */
  tell(outcome: PartitionOutcome): Promise<void> {
    return this.reach.tell([outcome])
  }

  /** Leaves it to `tellLate`. */
  keep(outcome: PartitionOutcome): void {
    this.#untold.push(outcome)
  }

  /**
   * The whole batch lets go. Partitions that are out of it do not wait for a neighbour in a slow call of its handler.
   *
   * @param over whether the batch's result is about to say it anyway
   */
  async tellLate(over: () => boolean): Promise<void> {
    for (let wait = quickMs; !over(); wait = tellLateEveryMs) {
      await sleep(wait, undefined, { ref: false })
      const outcomes = this.#untold.splice(0)
      if (!over() && outcomes.length > 0) await this.reach.tell(outcomes)
    }
  }
}
