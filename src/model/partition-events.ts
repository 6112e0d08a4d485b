import type { ErrorCode } from './errors.js'
import type { PartitionKey } from './partition.js'
import type { FencingToken } from './token.js'

/* What a worker tells the program around it about its partitions. Nothing here may ever hold a piece of a message. */

/** A partition has stopped in front of something that retrying can't mend. */
export interface PartitionBlocked extends PartitionKey {
  /** Where it stands; null where it stopped before it had a position. */
  readonly offset: bigint | null
  readonly code: ErrorCode
  /** The error's message: the text that `tidemark status` shows. */
  readonly message: string
}

/** Another owner with a newer epoch has taken a partition. */
export interface PartitionFenced extends PartitionKey {
  /** The token that has claimed the partition; null where it can't be read, or the new owner has not started yet. */
  readonly owner: FencingToken | null
  readonly message: string
}

/** A partition that was behind has handled everything up to the head of its log. */
export interface PartitionCaughtUp extends PartitionKey {
  /** The head that it has reached. */
  readonly position: bigint
}

/** Hears what becomes of partitions. Its methods never throw, and nobody waits for what they begin. */
export interface PartitionObserver {
  /** @param error what it stopped for, where the caller has it */
  blocked(event: PartitionBlocked, error?: unknown): void
  fenced(event: PartitionFenced): void
  caughtUp(event: PartitionCaughtUp): void
}
