import type { GroupName } from '../../src/model/partition.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { SliceRest } from './slice-watch.js'

/**
 * Whether the handlers' database has lost what partitions at rest have done: it was set back, or emptied. No batch of theirs claims anything
 * as long as no message comes, so nobody else would notice. Where the database does not answer, nothing is lost yet.
 *
 * @param partitions where they rest, by partition
 */
export async function hasLostProgress(
  { progress, settings }: Pick<ConsumerRuntime, 'progress' | 'settings'>,
  name: GroupName,
  partitions: SliceRest['partitions'],
): Promise<boolean> {
  // Where offsets are stored by hand, reading is ahead of progress.
  if (!progress.outranksStore || settings.commit.after === 'manual') return false
  // Asked in one turn, they are one statement.
  const lost = await Promise.all(
    Object.entries(partitions).map(async ([partition, [position]]) => {
      const done = await progress.read({ ...name, partition: Number(partition) })
      return done === null || done.position < BigInt(position)
    }),
  ).catch((): boolean[] => [])
  return lost.includes(true)
}
