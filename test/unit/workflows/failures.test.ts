import { ActivityFailure, ApplicationFailure, CancelledFailure, RetryState, TimeoutFailure } from '@temporalio/common'
import { describe, expect, it } from 'vitest'
import { failureOf } from '../../../workflows/slice/failures.js'

const failed = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'process', '1', RetryState.CANCEL_REQUESTED, 'worker', cause)

describe('the failure of a batch', () => {
  it.each([
    ['nobody has taken it', new TimeoutFailure('', undefined, 'SCHEDULE_TO_START'), 'untaken'],
    ['its worker was gone when it was to end', new TimeoutFailure('', undefined, 'HEARTBEAT'), 'ended'],
    ['its database was away when it was to end', ApplicationFailure.retryable('the database is away'), 'ended'],
    ['it was cancelled', new CancelledFailure('cancelled'), 'ended'],
    ['retrying can not mend it', ApplicationFailure.nonRetryable('no handler'), 'stop'],
  ])('says that %s', (_, cause, kind) => {
    expect(failureOf(failed(cause)).kind).toBe(kind)
  })

  it('is no error of another kind', () => {
    expect(() => failureOf(new TypeError('a bug'))).toThrow('a bug')
  })
})
