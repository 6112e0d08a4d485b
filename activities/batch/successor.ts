import { setTimeout as sleep } from 'node:timers/promises'
import { compareTokens } from '../../src/model/token.js'
import type { ProgressLog } from '../../src/ports/index.js'
import type { PartitionRun } from './partition-run.js'

/** A database that answers no sooner may be away for long, ms; the slice is not to wait for it. */
const patienceMs = 5_000

/** Who has the partition after this one: a later try of its batch, or a later batch of the slice. That one says what becomes of it. */
export type Successor = 'try' | 'batch'

export async function hasSuccessor(progress: ProgressLog, run: PartitionRun): Promise<boolean> {
  return (await successorOf(progress, run)) !== null
}

/** Null where nobody of the same epoch has it, or the database does not say. */
export async function successorOf(progress: ProgressLog, run: PartitionRun): Promise<Successor | null> {
  const unanswered = new AbortController()
  const late = sleep(patienceMs, null, { signal: unanswered.signal }).catch(() => null)
  const found = await Promise.race([progress.read(run.key).catch(() => null), late])
  unanswered.abort()
  if (found?.token.epoch !== run.batch.epoch) return null
  if (found.token.batch > run.batch.batch) return 'batch'
  const order = compareTokens(found.token, run.token)
  return order > 0 || (order === 0 && !run.opened) ? 'try' : null
}
