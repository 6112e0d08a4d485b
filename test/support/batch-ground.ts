import { BatchRun } from '../../activities/batch/batch-run.js'
import { CatchUp } from '../../activities/batch/catch-up.js'
import { ChunkSize } from '../../activities/batch/chunk-size.js'
import { LoopMonitor } from '../../activities/batch/loop-monitor.js'
import { ManualOffsets } from '../../activities/batch/manual-offsets.js'
import type { BatchResources } from '../../activities/batch/partition-run.js'
import { Readers } from '../../activities/batch/readers.js'
import { Slots } from '../../activities/batch/slots.js'
import { ErrorReports } from '../../activities/errors/reports.js'
import { Circuits } from '../../activities/failing/circuits.js'
import { TemporalClock } from '../../activities/failing/temporal-clock.js'
import type { ConsumerRuntime } from '../../activities/runtime.js'
import { telling, type WorkObserver } from '../../activities/story/observer.js'
import { Story } from '../../activities/story/story.js'
import type { HandlerContext } from '../../src/handlers/handler.js'
import type { Until } from '../../src/handlers/until.js'
import { memoryStore } from '../../src/memory/store/store.js'
import type { BatchInput, BatchResult, PartitionBatch, PartitionOutcome } from '../../src/model/batch.js'
import type { PartitionObserver } from '../../src/model/partition-events.js'
import type { AfterLastTry, FailureSettings } from '../../src/model/policy.js'
import type { BatchLimits, ConsumerSettings } from '../../src/model/settings.js'
import type { Message } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { FakeLog } from './fake-log.js'
import { silentLog } from './silent-log.js'

export const name = { group: 'billing', stream: 'orders' }

const nothing = () => {}
const deaf: WorkObserver = {
  began: nothing,
  left: nothing,
  took: nothing,
  handled: nothing,
  committed: nothing,
  failed: nothing,
  watched: nothing,
  blocked: nothing,
  fenced: nothing,
  caughtUp: nothing,
  setAside: nothing,
  redriven: nothing,
}

/** What becomes of failures where the options say nothing. */
export function failureSettings(change: Partial<FailureSettings> = {}): FailureSettings {
  return {
    attempts: null,
    immediate: 2,
    jitter: 0,
    isolate: false,
    afterLastTry: { policy: 'block' },
    outageAfter: 5,
    crashes: 3,
    ...change,
  }
}

/** Sets messages aside, in the order of their keys, until a person asks for them. */
export const deadLetterPolicy = {
  policy: 'dead-letter',
  ...{ order: 'key', nullKeys: 'alone', keep: 'content', retentionMs: 1, delaysMs: [] },
  limits: { keys: 100, messages: 100, ageMs: null },
} satisfies AfterLastTry

interface Given {
  readonly handle?: (messages: readonly Message[], context: HandlerContext) => Promise<void> | void
  readonly until?: Until
  readonly batch?: Partial<BatchLimits>
  readonly settings?: Partial<ConsumerSettings>
}

/** What one call of the handler got, and when, ms. */
export interface Call {
  readonly partition: number
  readonly offsets: readonly number[]
  readonly begun: number
  ended?: number
}

/** A consumer without Temporal: a log, a store and progress in memory, and batches that a test runs by itself. */
export async function batchGround({ handle = () => {}, until, batch, settings }: Given = {}) {
  const log = new FakeLog()
  const store = memoryStore()
  const context = { log: silentLog(), signal: new AbortController().signal }
  const [offsets, { progress, groups, troubles, letters }] = await Promise.all([
    store.connect(context),
    store.database.connect(context),
  ])
  const calls: Call[] = []
  const told: PartitionOutcome[] = []
  /** How batches reach their slice; tests may change whether Temporal answers. */
  const reach = {
    heard: true,
    /** Temporal has missed the worker of the try before. */
    lost: false,
    /** What an answer takes, ms; for ever where it never comes. */
    answersIn: 0,
    async answers() {
      if (this.answersIn > 0) await new Promise((resolve) => setTimeout(resolve, this.answersIn))
      return this.heard
    },
    tell: async (outcomes: readonly PartitionOutcome[]) => void told.push(...outcomes),
  }
  /** What the worker was told. */
  const observed: Record<keyof PartitionObserver, object[]> = { blocked: [], fenced: [], caughtUp: [] }
  /** Messages that observers were told of as handled. */
  const heard = { messages: 0 }
  /** What its observers hear of chunks and commits. */
  const work: string[] = []
  const draining = new AbortController()
  const whole: ConsumerSettings = {
    ...name,
    start: 'first',
    commit: { after: 'batch' },
    outOfRange: 'fail',
    batch: { maxMessages: 1_000, maxDurationMs: 30_000, idleGapMs: 2_000, restAfterMs: 60_000, ...batch },
    chunk: { maxMessages: 10, fetchBytes: 1_000, targetMs: null },
    chunkTimeoutMs: null,
    concurrency: 100,
    heartbeatTimeoutMs: 10_000,
    retry: { initialIntervalMs: 1_000, maximumIntervalMs: 60_000, backoff: 2 },
    failures: failureSettings(),
    errors: 'message',
    ...settings,
  }
  const errors = new ErrorReports(whole, [], context.log)
  const runtime: ConsumerRuntime = {
    settings: whole,
    version: 'v1',
    queues: { workflows: 'workflows', control: 'control', batches: 'process@' },
    handler: {
      kind: 'chunk',
      handle: async (messages, context) => {
        const { partition } = messages[0]!
        const offsets = messages.map(({ offset }) => Number(offset))
        const call: Call = { partition, offsets, begun: performance.now() }
        calls.push(call)
        try {
          await handle(messages, context)
        } finally {
          call.ended = performance.now()
        }
      },
    },
    source: log.client,
    store: offsets,
    records: groups,
    keepOffset: async () => {},
    sql: progress,
    progress,
    troubles,
    letters,
    failing: {},
    circuits: new Circuits(context.log),
    quarantine: new Slots(1),
    ...(until && { until }),
    budget: new SharedBudget(1_000_000),
    loop: new LoopMonitor(context.log),
    slots: new Slots(settings?.concurrency ?? 100),
    cluster: { look: async () => null, signal: async () => {}, endStranded: async () => false },
    story: telling([
      new Story(whole, context.log, errors, {
        blocked: (event) => void observed.blocked.push(event),
        fenced: (event) => void observed.fenced.push(event),
        caughtUp: (event) => void observed.caughtUp.push(event),
      }),
      {
        ...deaf,
        took: (_, { from }) => void work.push(`took ${from}`),
        handled: (_, { next, messages }) => {
          work.push(`handled to ${next}`)
          heard.messages += messages.length
        },
        committed: () => void work.push('committed'),
      },
    ]),
    log: context.log,
    errors,
    draining: draining.signal,
    stopped: new AbortController().signal,
  }
  const resources: BatchResources = {
    readers: new Readers(runtime),
    manual: new ManualOffsets(runtime),
    catchUp: new CatchUp(),
    chunkSize: new ChunkSize(runtime.settings.chunk),
  }

  /** Begins a batch of partitions that are owned already. */
  function begin(
    partitions: readonly PartitionBatch[],
    { attempt = 1, ...change }: Partial<BatchInput> & { readonly attempt?: number } = {},
  ): { readonly batch: BatchRun; readonly result: Promise<BatchResult> } {
    const input: BatchInput = { name, slice: 0, partitions, mayLeave: 4, ...change }
    const batch = new BatchRun(runtime, input, resources, attempt, reach, new TemporalClock(Date.now()))
    const result = batch.run()
    // A test may look later.
    result.catch(() => {})
    return { batch, result }
  }

  /** Partitions with so many messages each, of epoch 1. */
  async function own(heads: Readonly<Record<number, number>>): Promise<PartitionBatch[]> {
    const owned: PartitionBatch[] = []
    for (const [index, count] of Object.entries(heads)) {
      const partition = Number(index)
      if (count > 0) log.append(partition, count)
      await progress.begin({ ...name, partition }, { position: 0n, replay: 0, identity: null })
      await offsets.open({ ...name, partition }, { above: 0, start: 0n })
      owned.push({ partition, from: '0', epoch: 1, batch: 1, replay: 0, identity: null })
    }
    return owned
  }

  /** The offsets that the handler got of a partition, call by call. */
  const handled = (partition: number) =>
    calls.filter((call) => call.partition === partition).map((call) => call.offsets)
  const stored = async (partition: number) => (await offsets.list({ ...name, partition }))[0]?.position
  return {
    log,
    lines: context.log.lines,
    runtime,
    calls,
    told,
    observed,
    heard,
    work,
    reach,
    draining,
    begin,
    own,
    handled,
    stored,
    written: store.written,
    resources,
  }
}

/** Outcomes by partition. */
export function byPartition({ partitions }: BatchResult): Record<number, PartitionOutcome> {
  return Object.fromEntries(partitions.map((outcome) => [outcome.partition, outcome]))
}
