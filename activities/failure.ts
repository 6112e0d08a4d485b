import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { isTidemarkError } from '../src/model/errors.js'
import type { ErrorReports } from './errors/reports.js'

/**
 * Runs an activity's body and turns what it throws into what Temporal shows and acts on: the text a person needs (see `ErrorReports`), the
 * stable code as its type, and when to try again. Causes and stacks are left out: drivers put pieces of rows into them. Every failure is
 * retried: what retrying can't mend is an outcome of a partition, and no failure of the activity.
 *
 * @param retryAfterMs pause before the next try, ms; Temporal's own policy when absent
 */
export async function reporting<T>(
  errors: ErrorReports,
  body: () => Promise<T>,
  retryAfterMs?: (error: unknown) => number,
): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (error instanceof CancelledFailure || error instanceof ApplicationFailure) throw error
    throw failure(error, errors, retryAfterMs?.(error))
  }
}

function failure(error: unknown, errors: ErrorReports, retryAfterMs: number | undefined): ApplicationFailure {
  const failure = ApplicationFailure.create({
    message: errors.reason(error, {}),
    type: isTidemarkError(error) ? error.code : 'UNEXPECTED',
    nonRetryable: false,
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  })
  failure.stack = ''
  return failure
}
