import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import type { BatchInput, BatchResult, PartitionOutcome } from '../src/model/batch.js'
import { held, letGo, names } from '../src/model/commands.js'
import { isTidemarkError } from '../src/model/errors.js'
import { sliceWorkflowId } from '../src/model/partition.js'
import { BatchRun } from './batch/batch-run.js'
import { CatchUp } from './batch/catch-up.js'
import { ChunkSize } from './batch/chunk-size.js'
import { ManualOffsets } from './batch/manual-offsets.js'
import { Orders } from './batch/orders.js'
import { pauseBefore } from './batch/pause.js'
import type { Reach } from './batch/reach.js'
import { Readers } from './batch/readers.js'
import { retryAfter as pauseOf } from './failing/retry-after.js'
import { TemporalClock } from './failing/temporal-clock.js'
import { reporting } from './failure.js'
import { heartbeats } from './heartbeat.js'
import { watchFreshRest } from './polling/fresh-rest.js'
import type { ConsumerRuntime } from './runtime.js'

/** Pause before a slice is told for the second time that partitions have left its batch, ms. */
const tellAgainMs = 1_000
/** The longest pause before a part that can't be reached is tried again, ms. */
const unreachableMs = 5_000
/** Pause before Temporal is asked again whether it answers, ms. */
const askAgainMs = 500

/**
 * Works one batch of many partitions: claims them, reads from the position of their progress (which is ahead of the plan when an
 * earlier attempt came some way), and hands chunk after chunk to the handler until the batch is full, old or quiet.
 */
export function createProcess(runtime: ConsumerRuntime) {
  const { settings, cluster, draining } = runtime
  const resources = {
    readers: new Readers(runtime),
    manual: new ManualOffsets(runtime),
    catchUp: new CatchUp(),
    chunkSize: new ChunkSize(settings.chunk),
  }

  async function work(input: BatchInput): Promise<BatchResult> {
    const context = Context.current()
    const { attempt, activityId } = context.info
    const orders = new Orders(cluster, runtime.log, input.name, input.slice, activityId)
    const batch: BatchRun = new BatchRun(
      runtime,
      input,
      resources,
      attempt,
      reachOf(input, orders, () => batch),
      new TemporalClock(context.info.currentAttemptScheduledTimestampMs),
    )
    const stopHeartbeats = heartbeats(settings.heartbeatTimeoutMs, () => batch.progress)
    const end = () => batch.end()
    const cancelled = () => void ended(context, orders, batch).then(end)
    if (draining.aborted) end()
    draining.addEventListener('abort', end)
    context.cancellationSignal.addEventListener('abort', cancelled)
    if (context.cancellationSignal.aborted) end()
    try {
      // Partitions that left an earlier try of this batch belong to another batch now.
      if (attempt > 1) await orders.look(batch)
      orders.follow(batch)
      const result = await batch.run()
      // An operator holds or restarts the activity: Temporal does either with one that fails.
      const { paused, reset } = context.cancellationDetails ?? {}
      if (paused || reset) throw ApplicationFailure.retryable(paused ? 'paused in Temporal' : 'reset in Temporal', held)
      if (settings.waiting !== 'signals') void watchFreshRest(runtime, input.name, input.slice, result)
      return result
    } catch (error) {
      // Temporal keeps what was said last, and shows it until the next try.
      context.heartbeat(batch.progress)
      throw error
    } finally {
      orders.stop()
      stopHeartbeats()
      draining.removeEventListener('abort', end)
      context.cancellationSignal.removeEventListener('abort', cancelled)
    }
  }

  /**
   * Resolves once a cancellation means that the batch is to end: at once, unless it only says that no heartbeat gets through. Then it is
   * to end when Temporal answers, since another try may be under way there.
   */
  async function ended({ cancellationDetails }: Context, orders: Orders, batch: BatchRun): Promise<void> {
    if (!cancellationDetails?.timedOut) return
    while (!draining.aborted && !(await orders.answers(batch))) await sleep(askAgainMs)
  }

  function reachOf({ name, slice }: BatchInput, orders: Orders, batch: () => BatchRun): Reach {
    const tell = (outcomes: readonly PartitionOutcome[]) =>
      cluster.signal(sliceWorkflowId(name, slice), names.leave, outcomes)
    return {
      get heard() {
        return orders.heard
      },
      get lost() {
        return orders.lost
      },
      answers: () => orders.answers(batch()),
      // What the slice can't be told now, the batch's result says.
      tell: (outcomes) =>
        tell(outcomes)
          .catch(() => sleep(tellAgainMs).then(() => tell(outcomes)))
          .catch(() => {}),
    }
  }

  return (input: BatchInput): Promise<BatchResult> => {
    const { attempt } = Context.current().info
    const pauseAfter = (error: unknown) => {
      const pause = pauseOf(error) ?? pauseBefore(attempt + 1, settings.retry)
      // What is out of reach is tried again soon after it is back, however long it was away.
      return isTidemarkError(error) && error.code === 'UNREACHABLE' ? Math.min(pause, unreachableMs) : pause
    }
    return reporting(runtime.errors, () => work(input), pauseAfter).catch((error) => {
      if (error instanceof CancelledFailure) throw ApplicationFailure.retryable('the batch was let go', letGo)
      throw error
    })
  }
}
