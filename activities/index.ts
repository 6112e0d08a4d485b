import type { BatchActivities, ControlActivities } from '../src/model/batch.js'
import { createProcess } from './batch/process.js'
import { createCommit } from './commit.js'
import { createDiscover } from './discover.js'
import { createFallback } from './fallback.js'
import { createOpen } from './open.js'
import { createPoll } from './poll.js'
import type { ConsumerRuntime } from './runtime.js'

export { Deduplicator } from './handling/dedupe.js'
export type { Cluster, ConsumerRuntime } from './runtime.js'

/** Short activities, and those that only wait. */
export function controlActivities(runtime: ConsumerRuntime): ControlActivities {
  return {
    open: createOpen(runtime),
    poll: createPoll(runtime),
    commit: createCommit(runtime),
    discover: createDiscover(runtime),
    fallback: createFallback(runtime),
  }
}

/** The activity that does the work. */
export function batchActivities(runtime: ConsumerRuntime): BatchActivities {
  return { process: createProcess(runtime) }
}
