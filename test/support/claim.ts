import type { PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { ProgressLog } from '../../src/ports/index.js'

/** Claims a partition as its owner does: its opening has begun the replay. */
export async function claimFrom(
  progress: Pick<ProgressLog, 'begin' | 'claim'>,
  key: PartitionKey,
  token: FencingToken,
  start: { readonly from: bigint; readonly replay: number },
): Promise<bigint> {
  await progress.begin(key, { position: start.from, replay: start.replay, identity: null })
  return (await progress.claim(key, token, start)).position
}
