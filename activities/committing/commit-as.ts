import { setTimeout as sleep } from 'node:timers/promises'
import { isTidemarkError, TidemarkError } from '../../src/model/errors.js'
import { positionChanged } from '../../src/model/fenced.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import { betweenLooks, looksForStream } from '../../src/model/stream-looks.js'
import type { CommitOutcome } from '../../src/ports/index.js'
import type { ConsumerRuntime, WorkObserver } from '../runtime.js'

/** The owner of a partition, as the store knows it. */
export interface Ownership {
  readonly key: PartitionKey
  readonly epoch: number
  readonly replay: number
}

export type Ledgers = Pick<ConsumerRuntime, 'store' | 'progress'> & {
  readonly story: Pick<WorkObserver, 'committed'>
}

/**
 * Commits, or says whose the partition is now.
 *
 * A refused commit does not prove that another owner works the partition. A person may have reset it. The store may have been emptied or
 * set back. Or a worker that was frozen while it opened the partition has woken up and opened it, long after another worker was asked to:
 * it has taken an epoch, but nobody will work under it. An owner claims the progress row before working, so a greater token there is the
 * only proof.
 *
 * @throws TidemarkError POSITION_CHANGED or FENCED
 */
export async function commitAs(
  { store, progress, story }: Ledgers,
  { key, epoch, replay }: Ownership,
  position: bigint,
): Promise<void> {
  const result = await committed(store, key, { epoch, position, replay })
  if (result.outcome === 'committed') return story.committed(key)
  // The batch itself, or a try whose answer was lost, has committed as much already.
  if (result.epoch === epoch && result.replay === replay && result.position >= position) return
  const now = `epoch ${result.epoch} at position ${result.position}; this owner has epoch ${epoch}`
  if (result.replay > replay) throw positionChanged(key, `was reset: the store has ${now}`)
  const worker = await progress.read(key)
  if (worker && worker.token.epoch > epoch)
    throw new TidemarkError('FENCED', `${describePartition(key)} of group ${key.group} now belongs to ${now}`, {
      place: key,
    })
  if (result.epoch > epoch) throw positionChanged(key, `was opened by nobody: the store has ${now}`)
  throw positionChanged(key, `is not in the store as it was: the store was emptied or set back, and has ${now}`)
}

/** A broker that has just started may not know its topics yet. */
async function committed(
  store: Ledgers['store'],
  key: PartitionKey,
  commit: Parameters<Ledgers['store']['commit']>[1],
): Promise<CommitOutcome> {
  for (let look = 1; ; look++) {
    try {
      return await store.commit(key, commit)
    } catch (error) {
      const isMissing = isTidemarkError(error) && error.code === 'STREAM_NOT_FOUND'
      if (!isMissing || look === looksForStream) throw error
      await sleep(betweenLooks)
    }
  }
}
