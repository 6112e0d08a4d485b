import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { isTidemarkError, messageOf } from '../src/model/errors.js'
import { describePartition, type PartitionKey } from '../src/model/partition.js'

/**
 * Runs an activity's body and turns what it throws into what Temporal shows and acts on: the text a person needs, the
 * stable code as its type, and when to try again. Causes and stacks are left out: drivers put pieces of rows into
 * them, and message payloads never enter a history. Every failure is retried: what retrying can't mend is an outcome of a
 * partition, and no failure of the activity.
 *
 * @param retryAfterMs pause before the next try, ms; Temporal's own policy when absent
 */
export async function reporting<T>(
  key: PartitionKey | undefined,
  body: () => Promise<T>,
  retryAfterMs?: number,
): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (error instanceof CancelledFailure || error instanceof ApplicationFailure) throw error
    throw failure(error, key, retryAfterMs)
  }
}

function failure(error: unknown, key: PartitionKey | undefined, retryAfterMs: number | undefined): ApplicationFailure {
  const known = isTidemarkError(error)
  const where = key ? `${describePartition(key)}, group ${key.group}: ` : ''
  const failure = ApplicationFailure.create({
    message: known ? error.message : `${where}${messageOf(error)}`,
    type: known ? error.code : 'UNEXPECTED',
    nonRetryable: false,
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  })
  failure.stack = ''
  return failure
}
