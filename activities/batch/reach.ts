import type { PartitionOutcome } from '../../src/model/batch.js'

/** How a batch reaches its slice while it runs. */
export interface Reach {
  /** Tells the slice that partitions have left the batch. Resolves when it knows, or can't be told. */
  tell(outcomes: readonly PartitionOutcome[]): Promise<void>
  /** Whether Temporal has answered the last time. Where it does not, the end of a batch would not be followed by another one. */
  readonly heard: boolean
  /** Temporal has missed the worker of the try before. */
  readonly lost: boolean
  /** Asks whether Temporal answers now: the last time may be some seconds ago. Never rejects. */
  answers(): Promise<boolean>
}
