import type { CommitInput, CommitOutcome, CommitRequest, RaiseInput } from '../src/model/batch.js'
import { isTidemarkError } from '../src/model/errors.js'
import { saysReopen } from '../src/model/fenced.js'
import type { GroupName } from '../src/model/partition.js'
import { commitAs } from './committing/commit-as.js'
import { reporting } from './failure.js'
import { tellFenced } from './fenced.js'
import { heartbeatingIfLong } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Advances consumer offsets. The store refuses the offset of a partition whose owner has a newer epoch. Every partition is tried; if one
 * fails with a retryable error, the whole activity is retried, since repeating a commit is harmless.
 */
export function createCommit(runtime: ConsumerRuntime) {
  return ({ name, partitions }: CommitInput): Promise<readonly CommitOutcome[]> =>
    reporting(runtime.errors, () =>
      heartbeatingIfLong(runtime.settings.heartbeatTimeoutMs, async () => {
        const settled = await Promise.allSettled(partitions.map((request) => commitOne(runtime, name, request)))
        return settled.map((one) => {
          if (one.status === 'rejected') throw one.reason
          return one.value
        })
      }),
    )
}

async function commitOne(
  runtime: ConsumerRuntime,
  name: GroupName,
  { partition, epoch, replay, position }: CommitRequest,
): Promise<CommitOutcome> {
  const key = { ...name, partition }
  try {
    await commitAs(runtime, { key, epoch, replay }, BigInt(position))
    return { partition, outcome: 'committed' }
  } catch (error) {
    if (saysReopen(error)) return { partition, outcome: 'reopen', reason: error.message }
    if (!isTidemarkError(error) || error.effect === 'retry') throw error
    const { code, effect } = error
    const message = runtime.errors.own(error.message)
    if (effect === 'lost') await tellFenced(runtime, key, epoch, message)
    else runtime.story.blocked({ ...key, offset: BigInt(position), code, message }, error)
    return { partition, outcome: effect === 'lost' ? 'fenced' : 'blocked', reason: message }
  }
}

/** Greater than the number of any attempt. */
const lastAttempt = 2_000_000_000

/** Invalidates the fencing tokens of batches that ended without an answer: their workers may be cut off and still running. */
export function createRaise({ progress, settings, errors }: ConsumerRuntime) {
  return ({ name, partitions }: RaiseInput): Promise<void> =>
    reporting(errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        await Promise.all(
          partitions.map(({ partition, epoch, batch }) =>
            progress.raise({ ...name, partition }, { epoch, batch, attempt: lastAttempt }),
          ),
        )
      }),
    )
}
