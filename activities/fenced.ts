import type { PartitionKey } from '../src/model/partition.js'
import type { ConsumerRuntime } from './runtime.js'

/** Tells that an owner with a newer epoch has a partition, and who that is if its claim can be read. Never rejects. */
export async function tellFenced(
  { progress, story }: Pick<ConsumerRuntime, 'progress' | 'story'>,
  key: PartitionKey,
  epoch: number,
  message: string,
): Promise<void> {
  const claimed = await progress.read(key).catch(() => null)
  const owner = claimed && claimed.token.epoch > epoch ? claimed.token : null
  story.fenced({ ...key, owner, message })
}
