import { TestWorkflowEnvironment } from '@temporalio/testing'
import { DefaultLogger, type NativeConnection, Runtime, Worker } from '@temporalio/worker'
import type { BatchActivities, BatchInput, BatchResult, ControlActivities } from '../../src/model/batch.js'
import type { GroupInput, ModeState, PartitionInput } from '../../src/model/commands.js'
import type { Revision } from '../../src/model/revision.js'
import { unknownRhythm } from '../../src/model/rhythm.js'
import { workflowBundle } from '../../src/worker/bundle.js'
import { part } from './parts.js'
import { unique } from './unique.js'
import { waitFor } from './wait-for.js'

export type Activities = ControlActivities & BatchActivities

/** The time-skipping server: a sleep of hours takes none. Its clock is global, so tests on it run one after the other. */
export function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const { path } = part('timeSkipping')
  quiet()
  return TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })
}

/** An answer of a workflow. A query that meets a signal can hang on the time-skipping server: it is asked again then. */
export function answer<T extends object>(env: TestWorkflowEnvironment, query: () => Promise<T>): Promise<T> {
  return waitFor(() => env.connection.withDeadline(Date.now() + 1_000, query), { what: 'an answer' }) as Promise<T>
}

let installed = false
/** Activities that fail on purpose are no news. */
export function quiet(): void {
  if (!installed)
    Runtime.install({
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } },
    })
  installed = true
}

/** A worker with the real workflows and the given activities, for as long as `test` runs. */
export function withWorker<T>(
  env: TestWorkflowEnvironment,
  activities: Partial<Activities>,
  test: (queue: string) => Promise<T>,
): Promise<T> {
  quiet()
  return workOn({ nativeConnection: env.nativeConnection, namespace: env.namespace ?? 'default' }, activities, test)
}

/** The same, on any server. */
export async function workOn<T>(
  { nativeConnection, namespace }: { readonly nativeConnection: NativeConnection; readonly namespace: string },
  activities: Partial<Activities>,
  test: (queue: string) => Promise<T>,
): Promise<T> {
  const queue = unique('queue')
  const worker = await Worker.create({
    connection: nativeConnection,
    namespace,
    taskQueue: queue,
    workflowBundle: await workflowBundle(),
    activities: { ...calm, ...activities },
    maxHeartbeatThrottleInterval: 100,
    defaultHeartbeatThrottleInterval: 100,
  })
  return worker.runUntil(test(queue))
}

export const running: ModeState = { mode: 'running', reason: '', since: '2026-01-01T00:00:00.000Z' }

/** A revision whose queues are all `queue`. */
export function revisionOn(queue: string, version = ''): Revision {
  return {
    version,
    startedAt: '2026-01-01T00:00:00.000Z',
    startedBy: 'test',
    queues: { control: queue, batches: queue },
    timing: { heartbeatTimeoutMs: 10_000 },
  }
}

export function partitionInput(queue: string, change: Partial<PartitionInput> = {}): PartitionInput {
  const key = { group: unique('group'), stream: 'orders', partition: 0 }
  return { key, revision: revisionOn(queue), state: running, searchAttributes: false, ...change }
}

export function groupInput(queue: string): GroupInput {
  const revision = revisionOn(queue)
  return {
    group: unique('group'),
    stream: 'orders',
    revision,
    searchAttributes: false,
    known: [],
    paused: null,
    reports: [],
  }
}

/** What process returns for a batch that handled `count` messages. */
export function handled(input: BatchInput, count: number, change: Partial<BatchResult> = {}): BatchResult {
  const to = String(BigInt(input.from) + BigInt(count))
  return { to, messages: count, end: 'full', head: to, rhythm: unknownRhythm, ...change }
}

/** Activities of a partition where nothing ever happens. */
const calm: Activities = {
  open: async ({ above }) => ({ epoch: above + 1, position: '0', replay: 0 }),
  poll: ({ position }) => new Promise((resolve) => setTimeout(() => resolve({ from: position, found: false }), 50)),
  process: async (input) => handled(input, 0, { end: 'idle' }),
  commit: async () => ({ committed: true }),
  discover: ({ known }) =>
    new Promise((resolve) => setTimeout(() => resolve({ partitions: [...known], missing: [] }), 50)),
  fallback: async ({ wanted }) => ({ version: wanted }),
}
