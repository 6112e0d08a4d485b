import { ActivityFailure, ApplicationFailure, TimeoutFailure, TimeoutType } from '@temporalio/common'

export interface Failure {
  /**
   * - `fenced`  another owner with a newer token has taken the partition
   * - `untaken` no worker took the batch in time
   * - `stop`    anything else that Temporal does not retry
   */
  readonly kind: 'fenced' | 'untaken' | 'stop'
  /** For people; names stream, partition and offset where the activity knew them. */
  readonly reason: string
}

/** What a failed activity means for the partition. Rethrows what is not an activity's failure: that would be a bug of ours. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof ActivityFailure)) throw error
  const { cause } = error
  if (cause instanceof TimeoutFailure && cause.timeoutType === TimeoutType.SCHEDULE_TO_START)
    return { kind: 'untaken', reason: 'no worker took the batch' }
  if (cause instanceof ApplicationFailure)
    return { kind: cause.type === 'FENCED' ? 'fenced' : 'stop', reason: cause.message }
  return { kind: 'stop', reason: cause?.message ?? error.message }
}
