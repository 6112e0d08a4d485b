import { TidemarkError } from '../src/model/errors.js'
import { describePartition, type PartitionKey } from '../src/model/partition.js'
import type { OffsetStoreClient } from '../src/ports.js'

/** A person has put the position elsewhere: the batch ends, and the partition begins there. Not a failure. */
export class PositionChanged extends Error {}

/**
 * Commits, or says whose the partition is now.
 *
 * @throws PositionChanged, TidemarkError FENCED
 */
export async function commitAs(
  store: OffsetStoreClient,
  { key, epoch, replay }: { readonly key: PartitionKey; readonly epoch: number; readonly replay: number },
  position: bigint,
): Promise<void> {
  const result = await store.commit(key, { epoch, position, replay })
  if (result.outcome === 'committed') return
  if (result.replay > replay) throw new PositionChanged(`${describePartition(key)} was reset to ${result.position}`)
  throw new TidemarkError(
    'FENCED',
    `${describePartition(key)} of group ${key.group} now belongs to epoch ${result.epoch} at position ${result.position}; this owner has epoch ${epoch}`,
    { place: key },
  )
}
