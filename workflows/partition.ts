import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  workflowInfo,
} from '@temporalio/workflow'
import type { PartitionInput } from '../src/model/commands.js'
import { PartitionState } from './state.js'
import { PartitionSteps } from './steps.js'

/**
 * Owns one partition of one group. Its workflow ID is the lock: Temporal runs one of it at a time.
 *
 * It never sees a message. It hands *ranges* of the log to whichever worker has a free slot, and remembers how far they
 * came; the workers read the range from the log again. So its history costs a few events per batch, whatever the batch
 * holds, and a crashed worker's batch is simply handed to another one.
 *
 *   open     take ownership: a new epoch, and the stored position                    once per chain
 *   poll     wait until there is something at the position                           only when the log ran dry
 *   process  stream the range into the user's handler; progress moves with each chunk
 *   commit   advance the consumer offset: after the whole batch, beside the next one
 *
 * A consumer with `until` is at its end one day; then it waits for the other partitions, and the group releases them all.
 *
 * A person who cancels the workflow ends it after the chunk in hand, with its offset committed.
 */
export async function partitionConsumer(input: PartitionInput): Promise<void> {
  const state = new PartitionState(input)
  const steps = new PartitionSteps(state)

  const cancelled = () => CancellationScope.current().consideredCancelled

  while (!workflowInfo().continueAsNewSuggested && !cancelled()) {
    // Cancellation ends this wait too, with an error that the code below the loop would otherwise never see.
    await condition(() => state.running || state.released).catch(() => {})
    if (state.released || cancelled()) break
    await steps.attempt(async () => {
      if (!state.owned) state.own(await steps.open())
      if (!state.more) state.polled(await steps.poll())
      if (!state.more) return
      const result = await steps.process()
      state.worked(result)
      await steps.commitBehind(result)
      if (result.end === 'finished') await steps.finish()
    })
  }

  // Work that is done is committed, whoever ends the workflow.
  await CancellationScope.nonCancellable(() => steps.attempt(() => steps.settle()))
  if (cancelled()) throw new CancelledFailure('cancelled in Temporal')
  await condition(allHandlersFinished)
  if (state.released) return
  await continueAsNew<typeof partitionConsumer>(state.snapshot())
}
