import type { PartitionBatch, PartitionOutcome } from '../../src/model/batch.js'

/** A partition may be in no batch for so long before it counts as given away, ms. */
export const betweenBatches = 5_000
/** A partition at rest that no batch has had for so long may be woken by any worker, ms. */
const restKept = 600_000

type End = PartitionOutcome['end']

interface Holding {
  /** Batches of this worker that have the partition. */
  batches: number
  replay: number
  isSaid: boolean
  /** The last batch ended since nothing came. */
  resting: boolean
  /** The last batch has failed, or the partition in it. */
  retrying: boolean
  leftAt: number
}

/** What has changed in the set of partitions that a worker holds. */
export interface Changes {
  readonly taken: number[]
  readonly given: number[]
  readonly rested: number[]
  /** Partitions that were reset, and where each continues. */
  readonly reset: { readonly partition: number; readonly to: string }[]
}

/**
 * Which partitions a worker holds. A batch ends every few seconds and another one has the partition then, here or elsewhere, so a partition
 * is
 *
 *   held     a batch has it, or the last one ended less than five seconds ago, or it is at rest or between two tries
 *   given    it was held, and no batch here has taken it since
 *   settled  blocked, fenced or finished: what is said of that says all
 */
export class Holdings {
  readonly #held = new Map<number, Holding>()
  #reset: Changes['reset'] = []

  /** @param betweenTries how long nobody may have a partition between two tries, ms */
  constructor(private readonly betweenTries: number) {}

  /** A batch has these partitions now. Returns whether there may be something to say. */
  began(partitions: readonly PartitionBatch[]): boolean {
    let isNews = false
    for (const { partition, replay, from } of partitions) {
      const held = this.#held.get(partition)
      if (!held) {
        this.#held.set(partition, { batches: 1, replay, isSaid: false, resting: false, retrying: false, leftAt: 0 })
        isNews = true
        continue
      }
      held.batches++
      held.resting = held.retrying = false
      if (replay > held.replay) {
        held.replay = replay
        this.#reset.push({ partition, to: from })
        isNews = true
      }
    }
    return isNews
  }

  /** A batch has the partition no longer. Null: the batch has failed, and is tried again. */
  ended(partition: number, end: End | null): void {
    const held = this.#held.get(partition)
    if (!held) return
    held.batches--
    if (held.batches > 0) return
    held.leftAt = performance.now()
    held.resting = end === 'rest'
    held.retrying = end === null || end === 'failed'
    if (end === 'blocked' || end === 'fenced' || end === 'finished') this.#held.delete(partition)
  }

  /** Partitions that are held, without those at rest, in ascending order. */
  get active(): readonly number[] {
    return sorted([...this.#held].flatMap(([partition, { resting }]) => (resting ? [] : [partition])))
  }

  /** When there may be something to say next, ms from now; null where nothing waits. */
  get nextIn(): number | null {
    const now = performance.now()
    const waits = [...this.#held.values()].flatMap((held) => (held.batches > 0 ? [] : [this.#until(held) - now]))
    return waits.length === 0 ? null : Math.max(0, Math.min(...waits))
  }

  /** What has changed since the last time. */
  changes(): Changes {
    const changes: Changes = { taken: [], given: [], rested: [], reset: this.#reset }
    this.#reset = []
    const now = performance.now()
    for (const [partition, held] of this.#held) {
      const isGone = held.batches === 0 && now >= this.#until(held)
      if (isGone) this.#held.delete(partition)
      if (isGone && held.isSaid) (held.resting ? changes.rested : changes.given).push(partition)
      if (isGone || held.isSaid) continue
      held.isSaid = true
      changes.taken.push(partition)
    }
    return changes
  }

  #until({ leftAt, resting, retrying }: Holding): number {
    if (resting) return leftAt + restKept
    return leftAt + betweenBatches + (retrying ? this.betweenTries : 0)
  }
}

function sorted(numbers: number[]): number[] {
  return numbers.sort((a, b) => a - b)
}
