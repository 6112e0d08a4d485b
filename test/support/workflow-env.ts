import { Context } from '@temporalio/activity'
import { TestWorkflowEnvironment } from '@temporalio/testing'
import { DefaultLogger, type NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { afterAll, beforeAll } from 'vitest'
import type {
  BatchActivities,
  BatchInput,
  BatchResult,
  CommitInput,
  CommitOutcome,
  ControlActivities,
  OpenInput,
  OpenOutcome,
  Ownership,
  PartitionBatch,
  PartitionOutcome,
  Pauses,
} from '../../src/model/batch.js'
import type { GroupInput, PartitionRecord, SliceInput } from '../../src/model/commands.js'
import type { Revision } from '../../src/model/revision.js'
import { workflowBundle } from '../../src/worker/bundle.js'
import { part } from './parts.js'
import { unique } from './unique.js'
import { waitFor } from './wait-for.js'
import './workflows-here.js'

export type Activities = ControlActivities & BatchActivities

/** The time-skipping server: a sleep of hours takes none. Its clock is global, so tests on it run one after the other. */
export function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  const { path } = part('timeSkipping')
  quiet()
  return TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })
}

/** A time-skipping server for the tests of a file. */
export interface SkippingServer {
  readonly env: TestWorkflowEnvironment
  /**
   * Makes it a new one, for a test that needs time to be skipped: an activity that a terminated workflow has left behind, in a test before,
   * keeps a server from that for good.
   */
  renew(): Promise<void>
}

export function skippingServer(): SkippingServer {
  let env: TestWorkflowEnvironment | undefined
  const renew = async () => {
    const [next] = await Promise.all([timeSkippingEnvironment(), env?.teardown()])
    env = next
  }
  beforeAll(renew)
  afterAll(() => env?.teardown())
  return {
    get env() {
      return env!
    },
    renew,
  }
}

/** Runs a test with a time-skipping server of its own, which other tests may have beside it. */
export async function skippingTime(test: (env: TestWorkflowEnvironment) => Promise<void>): Promise<void> {
  const env = await timeSkippingEnvironment()
  try {
    await test(env)
  } finally {
    await env.teardown()
  }
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

/** A revision whose queues are all `queue`. */
export function revisionOn(queue: string, version = ''): Revision {
  return {
    version,
    startedAt: '2026-01-01T00:00:00.000Z',
    startedBy: 'test',
    queues: { workflows: queue, control: queue, batches: queue },
    timing: { heartbeatTimeoutMs: 10_000, batchMs: 30_000 },
  }
}

/** A slice that owns the given partitions of a stream. */
export function sliceInput(
  queue: string,
  partitions: readonly number[] = [0],
  change: Partial<SliceInput> = {},
): SliceInput {
  const records = partitions.map(
    (partition): PartitionRecord => ({
      partition,
      condition: 'healthy',
      reason: '',
      since: '2026-01-01T00:00:00.000Z',
      paused: null,
      owned: false,
    }),
  )
  return {
    name: { group: unique('group'), stream: 'orders' },
    slice: 0,
    generation: 1,
    revision: revisionOn(queue),
    searchAttributes: false,
    partitions: records,
    ...change,
  }
}

export function groupInput(queue: string, change: Partial<Revision> = {}): GroupInput {
  return {
    group: unique('group'),
    stream: 'orders',
    revision: { ...revisionOn(queue), ...change },
    searchAttributes: false,
  }
}

/** What a batch says of one partition that handled `count` messages. */
export function worked(
  { partition, from, epoch, batch }: PartitionBatch,
  count: number,
  change: Partial<PartitionOutcome> = {},
): PartitionOutcome {
  const to = String(BigInt(from) + BigInt(count))
  return { partition, epoch, batch, to, messages: count, head: to, end: 'more', ...change } as PartitionOutcome
}

/** What process returns for a batch that handled `count` messages of each partition. */
export function handled(input: BatchInput, count: number, change: Partial<PartitionOutcome> = {}): BatchResult {
  return { partitions: input.partitions.map((batch) => worked(batch, count, change)) }
}

/** What open returns where every partition begins at `position`. */
export function opened(input: OpenInput, position = '0', change: Partial<Ownership> = {}): OpenOutcome[] {
  return input.partitions.map(({ partition, above }) => ({
    partition,
    outcome: 'owned',
    epoch: above + 1,
    position,
    committed: position,
    replay: 0,
    identity: null,
    ...change,
  }))
}

export function committed(input: CommitInput): CommitOutcome[] {
  return input.partitions.map(({ partition }) => ({ partition, outcome: 'committed' }))
}

/** A group's record in the memory of the test, of a stream whose partitions a test can change. */
export function memoryRecord(partitions: number[], initial = 16): Pick<Activities, 'enroll' | 'note' | 'reslice'> {
  let [slices, generation] = [initial, 1]
  let known: readonly number[] | undefined
  let pauses: Pauses = { group: null, partitions: [] }
  let stopped: string | null = null
  return {
    enroll: async () => {
      const added = known ? partitions.filter((partition) => !known!.includes(partition)) : []
      known = [...partitions]
      return { slices, generation, partitions: [...partitions], added, pauses, stopped }
    },
    note: async ({ what, by, reason, partitions: some }) => {
      const note = { by, reason, since: new Date().toISOString() }
      if (what === 'stopped') stopped = reason
      else if (!some) pauses = { group: what === 'paused' ? note : null, partitions: [] }
      else {
        const others = pauses.partitions.filter(({ partition }) => !some.includes(partition))
        const theirs = what === 'paused' ? some.map((partition) => ({ partition, ...note })) : []
        pauses = { ...pauses, partitions: [...others, ...theirs] }
      }
      return pauses
    },
    reslice: async ({ from, slices: wanted }) => {
      if (generation === from) [slices, generation] = [wanted, from + 1]
      return { slices, generation }
    },
  }
}

/** Heartbeats until the activity is cancelled. */
export async function untilCancelled(): Promise<void> {
  const context = Context.current()
  while (!context.cancellationSignal.aborted) {
    context.heartbeat()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Activities of a group where nothing ever happens. */
const calm: Activities = {
  ...memoryRecord([0]),
  open: async (input) => opened(input),
  poll: () => new Promise((resolve) => setTimeout(() => resolve({ added: [], missing: [], stopped: [] }), 50)),
  process: async (input) => handled(input, 0, { end: 'rest' }),
  commit: async (input) => committed(input),
  raise: async () => {},
  ended: async () => [],
  fallback: async ({ wanted }) => ({ version: wanted }),
  present: async () => {},
}
