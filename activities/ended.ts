import { Context } from '@temporalio/activity'
import { type GroupName, sliceWorkflowId } from '../src/model/partition.js'
import { pauseFor } from '../src/model/pause.js'
import { joined } from '../src/model/signals.js'
import { reporting } from './failure.js'
import { heartbeatingIfLong } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/** How long one activity waits, ms, and how often it looks. */
const longest = 60_000
const lookEvery = 100

/** Waits until slices have ended, or for a while; returns those that still run. */
export function createEnded({ cluster, settings, draining, queues, errors }: ConsumerRuntime) {
  async function runs(workflowId: string): Promise<boolean> {
    const look = await cluster.look(workflowId)
    if (look?.status !== 'running') return false
    // A slice of another build of Tidemark may have no worker that could end it, and one that was restored may have none that can replay it.
    const mayGoOn = look.taskQueue === queues.workflows && !look.failing
    return mayGoOn || !(await cluster.endStranded(workflowId, queues.workflows))
  }

  return ({ name, slices }: { readonly name: GroupName; readonly slices: readonly number[] }): Promise<number[]> =>
    reporting(errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        const { signal, leave } = joined(Context.current().cancellationSignal, draining)
        const until = performance.now() + longest
        try {
          for (let left = [...slices]; ; await pauseFor(lookEvery, signal)) {
            const running = await Promise.all(left.map((slice) => runs(sliceWorkflowId(name, slice))))
            left = left.filter((_, index) => running[index])
            if (left.length === 0 || signal.aborted || performance.now() > until) return left
          }
        } finally {
          leave()
        }
      }),
    )
}
