import type { CommitInput, CommitResult } from '../src/model/batch.js'
import { isTidemarkError } from '../src/model/errors.js'
import { commitAs, PositionChanged } from './committing/commit-as.js'
import { reporting } from './failure.js'
import type { ConsumerRuntime } from './runtime.js'

/** Advances the consumer offset. The store refuses it when somebody with a newer epoch owns the partition. */
export function createCommit(runtime: ConsumerRuntime) {
  return ({ key, epoch, replay = 0, position }: CommitInput): Promise<CommitResult> =>
    reporting(key, async () => {
      try {
        await commitAs(runtime, { key, epoch, replay }, BigInt(position))
        return { committed: true }
      } catch (error) {
        if (error instanceof PositionChanged) return { committed: false, reopen: true, why: error.message }
        if (isTidemarkError(error) && error.effect === 'lost') return { committed: false, why: error.message }
        throw error
      }
    })
}
