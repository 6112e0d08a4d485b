import { compareTokens } from '../../src/model/token.js'
import type { ProgressLog } from '../../src/ports/index.js'
import type { PartitionRun } from './partition-run.js'

/** Whether a later try of the batch, or a later batch of the slice, has the partition. That one says then what becomes of it. */
export async function hasSuccessor(progress: ProgressLog, run: PartitionRun): Promise<boolean> {
  const found = await progress.read(run.key).catch(() => null)
  if (found?.token.epoch !== run.batch.epoch) return false
  const order = compareTokens(found.token, run.token)
  return order > 0 || (order === 0 && !run.opened)
}
