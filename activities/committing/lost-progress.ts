import type { PartitionKey } from '../../src/model/partition.js'
import type { ConsumerRuntime } from '../runtime.js'

/**
 * Whether the handlers' database has lost what partitions had come to: it was set back, or emptied. Asked while they wait, since nobody claims
 * or moves anything then. A database that does not answer has lost nothing yet.
 */
export async function hasLostProgress(
  { progress, settings }: Pick<ConsumerRuntime, 'progress' | 'settings'>,
  partitions: readonly { readonly key: PartitionKey; readonly position: bigint }[],
): Promise<boolean> {
  // Where offsets are stored by hand, reading is ahead of progress.
  if (!progress.outranksStore || settings.commit.after === 'manual') return false
  // Asked in one turn, they are one statement.
  const lost = await Promise.all(
    partitions.map(async ({ key, position }) => {
      const done = await progress.read(key)
      return done === null || done.position < position
    }),
  ).catch((): boolean[] => [])
  return lost.includes(true)
}
