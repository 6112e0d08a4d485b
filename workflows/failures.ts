import { ActivityFailure, ApplicationFailure, TimeoutFailure, TimeoutType } from '@temporalio/common'
import { isCancellation } from '@temporalio/workflow'

export interface Failure {
  /**
   * - `untaken`   no worker took the batch in time
   * - `silent`    the batch was asked to end and ended without an answer, or its worker is gone
   * - `stop`      anything else that Temporal does not retry
   */
  readonly kind: 'untaken' | 'silent' | 'stop'
  /** For people; names stream, partition and offset where the activity knew them. */
  readonly reason: string
}

/** What a failed activity means. Rethrows what is not an activity's failure: that would be a bug of ours. */
export function failureOf(error: unknown): Failure {
  if (isCancellation(error)) return { kind: 'silent', reason: 'cancelled' }
  if (!(error instanceof ActivityFailure)) throw error
  const { cause } = error
  if (cause instanceof TimeoutFailure && cause.timeoutType === TimeoutType.SCHEDULE_TO_START)
    return { kind: 'untaken', reason: 'no worker took the batch' }
  if (cause instanceof TimeoutFailure) return { kind: 'silent', reason: cause.message }
  if (cause instanceof ApplicationFailure) return { kind: 'stop', reason: cause.message }
  return { kind: 'stop', reason: cause?.message ?? error.message }
}
