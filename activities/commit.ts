import type { CommitInput, CommitResult } from '../src/model/batch.js'
import { describePartition } from '../src/model/partition.js'
import { reporting } from './failure.js'
import type { ConsumerRuntime } from './runtime.js'

/** Advances the consumer offset. The store refuses it when somebody with a newer epoch owns the partition. */
export function createCommit({ store }: ConsumerRuntime) {
  return ({ key, epoch, replay, position }: CommitInput): Promise<CommitResult> =>
    reporting(key, async () => {
      const result = await store.commit(key, {
        epoch,
        position: BigInt(position),
        ...(replay === undefined ? {} : { replay }),
      })
      if (result.outcome === 'committed') return { committed: true }
      const owner = `epoch ${result.epoch} at position ${result.position}`
      return {
        committed: false,
        reset: replay !== undefined && result.replay > replay,
        why: `${describePartition(key)} of group ${key.group} now belongs to ${owner}; this owner has epoch ${epoch}`,
      }
    })
}
