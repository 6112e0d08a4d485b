import { setTimeout as sleep } from 'node:timers/promises'
import { compareTokens } from '../../src/model/token.js'
import type { ProgressLog } from '../../src/ports/index.js'
import type { PartitionRun } from './partition-run.js'

/** A database that answers no sooner may be away for long, ms; the slice is not to wait for it. */
const patienceMs = 5_000

/** Whether a later try of the batch, or a later batch of the slice, has the partition. That one says then what becomes of it. */
export async function hasSuccessor(progress: ProgressLog, run: PartitionRun): Promise<boolean> {
  const unanswered = new AbortController()
  const late = sleep(patienceMs, null, { signal: unanswered.signal }).catch(() => null)
  const found = await Promise.race([progress.read(run.key).catch(() => null), late])
  unanswered.abort()
  if (found?.token.epoch !== run.batch.epoch) return false
  const order = compareTokens(found.token, run.token)
  return order > 0 || (order === 0 && !run.opened)
}
