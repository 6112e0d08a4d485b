import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker'
import {
  batchActivities,
  Circuits,
  type ConsumerRuntime,
  controlActivities,
  Deduplicator,
  ErrorReports,
  LoopMonitor,
  Slots,
  Story,
  telling,
} from '../../activities/index.js'
import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { messageOf } from '../model/errors.js'
import type { PartitionObserver } from '../model/partition-events.js'
import { batchQueue, type Queues, queuesOf } from '../model/revision.js'
import type { ConsumerMeter } from '../monitoring/consumer-meter.js'
import { countedActivities, countedSignals } from '../monitoring/counted.js'
import type { Meters } from '../monitoring/metrics.js'
import type { Log } from '../ports/index.js'
import type { TemporalCluster } from '../temporal/cluster.js'
import { dataConverterOf } from '../temporal/codec.js'
import { workflowGeneration } from '../temporal/generation.js'
import { SharedBudget } from './budget.js'
import { workflowBundle } from './bundle.js'
import { releaseSdkWorkers } from './release.js'
import type { Resources } from './resources.js'
import { sharedBatches } from './shared-batches.js'

/** Polls, commits and other short activities at the same time; each is only a promise. */
const controlSlots = 1_000
/** Slice workflows kept in memory; others are replayed from their short histories when something happens to them. */
const cachedWorkflows = 500
/**
 * How long a workflow task waits at most for the worker that has the workflow in memory, ms. That one may have stopped or been killed a moment
 * ago; another one only replays a short history.
 */
const stickyAtMost = 5_000
/** The SDK sends heartbeats that often at least, ms; as a rule it waits for 0.8 heartbeat timeouts. Temporal bills each. */
const heartbeatThrottle = 60_000
/** Time between the end of `shutdownTimeout` and giving up on the SDK's own shutdown, ms. */
const shutdownMargin = 5_000

const fewPolls = { type: 'autoscaling', minimum: 1, initial: 2, maximum: 20 } as const

/** What one worker's parts have in common. */
interface Life {
  readonly log: Log
  readonly listeners: PartitionObserver
  /** Takes what tells the log of a consumer, to end it with the worker. */
  readonly tells: (story: Story) => void
  readonly draining: AbortSignal
  readonly stopped: AbortSignal
  /** Null where nobody asked for metrics. */
  readonly metrics: Meters | null
}

/** What somebody may do otherwise who runs the SDK's workers for tests. */
export interface SdkSeams {
  /** Somebody else works the workflows, and no other worker shares the batches. */
  readonly alone: boolean
  /** Stands between Temporal and the activities. */
  around<A extends object>(activities: A): A
}

/**
 * The SDK's workers: one for all workflows; for each consumer, one that works batches and one for everything that must not wait behind them.
 * Each holds the connection until it has run. Leaves none behind when one of them can't be made.
 */
export async function createSdkWorkers(
  config: ParsedConfig,
  {
    connection,
    cluster,
    resources,
    partitions,
  }: {
    readonly connection: NativeConnection
    readonly cluster: TemporalCluster
    readonly resources: Resources
    /** How many each consumer's stream has. */
    readonly partitions: readonly number[]
  },
  life: Life,
  { alone, around }: SdkSeams = { alone: false, around: (activities) => activities },
): Promise<Worker[]> {
  // Workers of one group tell each other apart by it; process numbers of containers are alike.
  const identity = `${process.pid}@${hostname()}#${randomBytes(3).toString('hex')}`
  const common = {
    connection,
    namespace: config.temporal.namespace,
    dataConverter: dataConverterOf(config.temporal),
    interceptors: { activity: [...(config.temporal.interceptors?.activity ?? [])] },
    identity,
    shutdownGraceTime: config.shutdownTimeoutMs + shutdownMargin,
    shutdownForceTime: config.shutdownTimeoutMs + 2 * shutdownMargin,
    // Temporal goes on handing tasks to the open polls of a worker that is frozen or cut off, and each is missed only after a timeout. So
    // there are few polls, and more where many tasks come at once, as when slices begin together.
    activityTaskPollerBehavior: fewPolls,
    workflowTaskPollerBehavior: fewPolls,
  } satisfies Partial<WorkerOptions>
  const throttled = {
    ...common,
    maxHeartbeatThrottleInterval: heartbeatThrottle,
    defaultHeartbeatThrottleInterval: heartbeatThrottle,
  }
  const workers: Worker[] = []
  const budget = new SharedBudget(config.memoryBytes)
  life.metrics?.buffer(budget)
  const loop = new LoopMonitor(life.log)
  const circuits = new Circuits(life.log)
  const quarantine = new Slots(1)
  const generation = await workflowGeneration()
  const queues = config.consumers.map(({ settings }) => queuesOf(config.taskQueue, generation, settings))
  try {
    if (!alone)
      workers.push(
        await Worker.create({
          ...common,
          taskQueue: queues[0]!.workflows,
          workflowBundle: await workflowBundle(),
          maxCachedWorkflows: cachedWorkflows,
          stickyQueueScheduleToStartTimeout: Math.min(
            stickyAtMost,
            ...config.consumers.map(({ settings }) => settings.heartbeatTimeoutMs / 2),
          ),
        }),
      )
    for (const [index, consumer] of config.consumers.entries()) {
      const errors = new ErrorReports(consumer.settings, config.secrets, life.log)
      const story = new Story(consumer.settings, life.log, errors, life.listeners)
      life.tells(story)
      const meter = meterOf(consumer, partitions[index]!, { cluster, resources, metrics: life.metrics })
      const runtime = {
        ...runtimeOf(consumer, queues[index]!, resources, life),
        budget,
        loop,
        circuits,
        quarantine,
        cluster: meter ? countedSignals(cluster, meter) : cluster,
        errors,
        story: telling(meter ? [story, meter] : [story]),
        ...life,
      }
      const counted = <A extends object>(activities: A) => (meter ? countedActivities(activities, meter) : activities)
      workers.push(
        await Worker.create({
          ...throttled,
          taskQueue: runtime.queues.control,
          activities: around(counted(controlActivities(runtime))),
          maxConcurrentActivityTaskExecutions: controlSlots,
        }),
        await Worker.create({
          ...throttled,
          taskQueue: batchQueue(runtime.queues, consumer.version),
          activities: around(counted(batchActivities(runtime))),
          ...(alone ? {} : sharedBatches({ ...runtime, cluster }, identity)),
        }),
      )
    }
    return workers
  } catch (error) {
    await releaseSdkWorkers(workers)
    throw error
  }
}

function meterOf(
  consumer: ParsedConsumer,
  partitions: number,
  {
    cluster,
    resources,
    metrics,
  }: { readonly cluster: TemporalCluster; readonly resources: Resources; readonly metrics: Meters | null },
): ConsumerMeter | undefined {
  const { source, records } = resources.of(consumer)
  return metrics?.consumer(consumer.settings, partitions, { source, records, cluster })
}

function runtimeOf(
  consumer: ParsedConsumer,
  queues: Queues,
  resources: Resources,
  life: Life,
): Omit<ConsumerRuntime, 'budget' | 'loop' | 'circuits' | 'quarantine' | 'cluster' | 'errors' | 'story' | keyof Life> {
  const { settings, handler, version, dedupe, until } = consumer
  const { source, sql, progress, store, output, records, troubles, letters, letterTopic } = resources.of(consumer)
  return {
    settings,
    version,
    queues,
    handler,
    source,
    store,
    records,
    slots: new Slots(
      handler.kind === 'transactional'
        ? Math.min(settings.concurrency, sql.atOnce ?? Number.POSITIVE_INFINITY)
        : settings.concurrency,
    ),
    keepOffset: (key) =>
      store
        .keep(key)
        .catch((error) => life.log.debug({ ...key, error: messageOf(error) }, 'could not show the offset again')),
    sql,
    progress,
    troubles,
    letters,
    failing: consumer.failing,
    ...(letterTopic && { letterTopic }),
    ...(output && { output }),
    ...(until && { until }),
    ...(dedupe && { dedupe: new Deduplicator(dedupe, sql, life.log, life.draining) }),
  }
}
