import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  makeContinueAsNewFunc,
  workflowInfo,
} from '@temporalio/workflow'
import type { SliceInput } from '../src/model/commands.js'
import { Commits } from './slice/commits.js'
import { Lanes } from './slice/lanes.js'
import { SliceState } from './slice/slice-state.js'
import { memoOfNextRun } from './slice/stopped-memo.js'

/**
 * Owns some partitions of one group: every partition p with p mod slices = slice. Its workflow ID is the lock: Temporal runs one of it
 * at a time.
 *
 * It never sees a message. It hands *ranges* of the log to whichever worker has a free slot, and remembers how far they
 * came; the workers read the ranges from the log again. So its history costs a few events per batch, whatever the batch
 * holds, and a crashed worker's batch is simply handed to another one.
 *
 *   open     take ownership of partitions: new epochs, and the stored positions       once, and after resets
 *   process  follow all healthy partitions, each with its own reader, transactions and fencing token
 *   commit   advance the consumer offsets: after the batch, beside the next one
 *
 * A partition in trouble leaves the batch, and is worked apart with retries of its own until it is healthy (slice/next-lane.ts). A slice
 * whose partitions have no messages for a while is at rest: nothing runs, and the group's poll wakes it.
 *
 * A revision for the workers of another build ends the batches under way, and the workflow continues on those workers' task queue.
 *
 * A person who cancels the workflow ends it after the chunks in hand, with their offsets committed.
 */
export async function consumerSlice(input: SliceInput): Promise<void> {
  const state = new SliceState(input)
  const commits = new Commits(state)
  const lanes = new Lanes(state, commits)
  state.listen(lanes)

  const cancelled = () => CancellationScope.current().consideredCancelled
  const over = () => state.finishing || cancelled() || state.moving || workflowInfo().continueAsNewSuggested
  while (!over()) {
    await lanes.start().catch(() => {})
    state.publish()
    // Cancellation ends this wait with an error. The code below the loop handles the cancellation itself.
    await condition(() => over() || state.stale || lanes.startable).catch(() => {})
  }

  // Finished work is committed, no matter who ends the workflow.
  lanes.releaseAll()
  await CancellationScope.nonCancellable(async () => {
    await condition(() => lanes.none)
    await commits.settle()
    await condition(allHandlersFinished)
    state.publish()
  })
  if (cancelled()) throw new CancelledFailure('cancelled in Temporal')
  if (state.finishing) return
  const next = state.snapshot()
  const taskQueue = next.revision.queues.workflows
  await makeContinueAsNewFunc<typeof consumerSlice>({ taskQueue, ...memoOfNextRun(next.partitions) })(next)
}
