import type { FailureSettings } from './policy.js'
import type { StartSpec } from './start.js'
import type { CommitStrategy } from './strategy.js'

/** A consumer's options after parsing: every default filled in, durations in ms, sizes in bytes. */
export interface ConsumerSettings {
  readonly group: string
  readonly stream: string
  readonly start: StartSpec
  readonly commit: CommitStrategy
  /** What happens when the log no longer has the position: stop and say so, or go on at its first or its next message. */
  readonly outOfRange: OutOfRangePolicy
  readonly batch: BatchLimits
  readonly chunk: ChunkLimits
  /** How long a handler may take for a chunk, ms; null: no limit. */
  readonly chunkTimeoutMs: number | null
  /** Chunks of this consumer that one worker handles at the same time. */
  readonly concurrency: number
  /** Workflows that a new group's partitions are divided among. */
  readonly slices?: number
  /** A worker that is silent for so long loses its batch to another one. */
  readonly heartbeatTimeoutMs: number
  readonly retry: RetrySettings
  /** What becomes of messages that fail. */
  readonly failures: FailureSettings
  /** What of the errors of the user's code is shown in Temporal. */
  readonly errors: ErrorTexts
  /**
   * Slices at rest wait for signals from outside, and no activity waits on their behalf. `tidemark/testing` sets it: time is not skipped
   * while an activity runs. No option of users.
   */
  readonly waiting?: 'signals'
}

/**
 * What of an error that the user's code throws gets into Temporal.
 *
 * - `message` its message, cut
 * - `private` its class and code, and an ID that the worker's log has the rest under
 */
export type ErrorTexts = 'message' | 'private'

export type OutOfRangePolicy = 'fail' | 'first' | 'last'

export interface BatchLimits {
  readonly maxMessages: number
  readonly maxDurationMs: number
  /** Commits a partition's offset when no message came for so long, while its batch stays open. */
  readonly idleGapMs: number
  /** Closes a batch when no message came for so long in any of its partitions. The slice is at rest then. */
  readonly restAfterMs: number
}

export interface ChunkLimits {
  /** Greatest number of messages that a handler gets in one call. */
  readonly maxMessages: number
  /** Bytes asked of the log in one fetch. */
  readonly fetchBytes: number
  /** What a chunk is to take, ms: its size adapts to it. Null: chunks are as large as they may be. */
  readonly targetMs: number | null
}

/** How a failed batch is tried again; for ever, until it works or somebody pauses the partition. */
export interface RetrySettings {
  readonly initialIntervalMs: number
  readonly maximumIntervalMs: number
  readonly backoff: number
}
