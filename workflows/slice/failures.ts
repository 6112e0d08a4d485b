import { ActivityFailure, ApplicationFailure, TimeoutFailure, TimeoutType } from '@temporalio/common'
import { isCancellation } from '@temporalio/workflow'

export interface Failure {
  /**
   * - `untaken` no worker took the batch in time
   * - `ended`   the workflow asked the batch to end, and it ended without an answer: cancelled, failed, or its worker is gone. Temporal
   *             does not try an activity again that is to end
   * - `stop`    a permanent error: retrying does not help
   */
  readonly kind: 'untaken' | 'ended' | 'stop'
  /** For people. Names stream, partition and offset where the activity knew them. */
  readonly reason: string
}

/** What a failed activity means. Rethrows anything else, which would be a bug in Tidemark. */
export function failureOf(error: unknown): Failure {
  if (isCancellation(error)) return { kind: 'ended', reason: 'cancelled' }
  if (!(error instanceof ActivityFailure)) throw error
  const { cause } = error
  const reason = cause?.message ?? error.message
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === TimeoutType.SCHEDULE_TO_START)
      return { kind: 'untaken', reason: 'no worker took the batch' }
    return { kind: 'ended', reason }
  }
  if (cause instanceof ApplicationFailure && !cause.nonRetryable) return { kind: 'ended', reason }
  return { kind: 'stop', reason }
}
