import type { TemporalClock } from '../failing/temporal-clock.js'

/** One try of a batch. */
export interface BatchTry {
  readonly attempt: number
  /** The batch has this partition alone, because it is in trouble. */
  readonly apart: boolean
  /** Temporal has missed the worker of the try before. */
  readonly lost: () => boolean
  readonly clock: TemporalClock
}
