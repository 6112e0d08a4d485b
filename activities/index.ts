import type { BatchActivities, ControlActivities } from '../src/model/batch.js'
import { createCommit, createRaise } from './commit.js'
import { createEnded } from './ended.js'
import { createEnroll, createNote } from './enroll.js'
import { createFallback } from './fallback.js'
import { createOpen } from './open.js'
import { createPoll } from './poll.js'
import { createProcess } from './process.js'
import { createReslice } from './reslice.js'
import type { ConsumerRuntime } from './runtime.js'

export { LoopMonitor } from './batch/loop-monitor.js'
export { pauseBefore } from './batch/pause.js'
export { Slots } from './batch/slots.js'
export { ErrorReports } from './errors/reports.js'
export { Circuits } from './failing/circuits.js'
export { Deduplicator } from './handling/dedupe.js'
export type { Cluster, ConsumerRuntime, WorkflowLook } from './runtime.js'
export { telling, type WatchedSlice, type WorkObserver } from './story/observer.js'
export { Story } from './story/story.js'

/** Short activities, and the one that only waits. */
export function controlActivities(runtime: ConsumerRuntime): ControlActivities {
  return {
    enroll: createEnroll(runtime),
    note: createNote(runtime),
    reslice: createReslice(runtime),
    open: createOpen(runtime),
    commit: createCommit(runtime),
    raise: createRaise(runtime),
    poll: createPoll(runtime),
    ended: createEnded(runtime),
    fallback: createFallback(runtime),
  }
}

/** What only workers with one version of the config do. */
export function batchActivities(runtime: ConsumerRuntime): BatchActivities {
  return { process: createProcess(runtime), present: async () => {} }
}
