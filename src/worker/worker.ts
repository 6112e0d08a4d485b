import { hostname } from 'node:os'
import { Client } from '@temporalio/client'
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker'
import {
  batchActivities,
  type ConsumerRuntime,
  controlActivities,
  Deduplicator,
  Slots,
} from '../../activities/index.js'
import type { TidemarkConfig } from '../config/define.js'
import { type ParsedConfig, parseConfig } from '../config/parse.js'
import { messageOf } from '../model/errors.js'
import { batchQueue, queuesOf } from '../model/revision.js'
import type { Log } from '../ports/index.js'
import { stopText } from '../ports/stop-text.js'
import { TemporalCluster } from '../temporal/cluster.js'
import { connectionOptions, requireNamespace, temporalError } from '../temporal/connection.js'
import { SharedBudget } from './budget.js'
import { workflowBundle } from './bundle.js'
import { connectWithin } from './connect.js'
import { createLog } from './log.js'
import { openResources, type Resources } from './resources.js'

/** Polls, commits and other short activities at the same time; each is only a promise. */
const controlSlots = 1_000
/** Batches at the same time. How many handlers they run is bounded by the consumer's `concurrency`. */
const batchSlots = 1_000
/** Slice workflows kept in memory; others are replayed from their short histories when something happens to them. */
const cachedWorkflows = 500
/** The SDK sends heartbeats that often at least, ms; as a rule it waits for 0.8 heartbeat timeouts. Temporal bills each. */
const heartbeatThrottle = 60_000
/**
 * Temporal knows a worker's polls for a moment after they were taken back, ms. A batch handed over within it may be handed to the very
 * worker that lets go, and is missed only after the heartbeat timeout.
 */
const pollsLinger = 150
/** Time between the end of `shutdownTimeout` and giving up on the SDK's own shutdown, ms. */
const shutdownMargin = 5_000

export interface WorkerContext {
  /** Default: JSON lines on standard error, level LOG_LEVEL or `info`. */
  readonly log?: Log
  /** Ends connecting, and later the worker. */
  readonly signal?: AbortSignal
}

/** A consumer that a worker is ready to run. */
export interface ReadyConsumer {
  readonly group: string
  readonly stream: string
  /** Partitions that the stream has now. */
  readonly partitions: number
  /** Version of its config. */
  readonly version: string
  /** Why the group does not run: a person has stopped it in Temporal. Null otherwise. */
  readonly stopped: string | null
}

/**
 * Runs a config's consumers in this process. Start it on as many machines as you like: they share the partitions.
 */
export class TidemarkWorker {
  readonly consumers: readonly ReadyConsumer[]
  readonly #workers: readonly Worker[]
  readonly #end: () => Promise<void>
  readonly #draining: AbortController
  readonly #stopped: AbortController
  readonly #graceMs: number
  #ending = false

  /** Use `createWorker`. */
  constructor(parts: {
    consumers: readonly ReadyConsumer[]
    workers: Worker[]
    end: () => Promise<void>
    draining: AbortController
    stopped: AbortController
    graceMs: number
  }) {
    this.consumers = parts.consumers
    this.#workers = parts.workers
    this.#end = parts.end
    this.#draining = parts.draining
    this.#stopped = parts.stopped
    this.#graceMs = parts.graceMs
  }

  /** Works until `shutdown`. Rejects when Temporal is lost for good. */
  async run(): Promise<void> {
    try {
      await Promise.all(this.#workers.map((worker) => worker.run().finally(() => this.shutdown())))
    } finally {
      await this.#end()
    }
  }

  /**
   * Takes no more work, lets each handler finish the chunk in hand, and hands the rest of its batch over at once. A chunk that
   * is not done after `shutdownTimeout` is rolled back.
   */
  shutdown(): void {
    if (this.#ending) return
    this.#ending = true
    for (const worker of this.#workers) if (worker.getState() === 'RUNNING') worker.shutdown()
    setTimeout(() => this.#draining.abort(), pollsLinger).unref()
    setTimeout(() => this.#stopped.abort(), pollsLinger + this.#graceMs).unref()
  }
}

/**
 * Connects to everything the config names and makes a worker of it, which does nothing before `run`. Waits for parts that
 * are not up yet, for `connectTimeout`.
 *
 * @throws TidemarkError CONFIG_INVALID, UNREACHABLE, AUTH_FAILED, STREAM_NOT_FOUND, SCHEMA_TOO_NEW
 */
export async function createWorker(config: TidemarkConfig, context: WorkerContext = {}): Promise<TidemarkWorker> {
  const parsed = parseConfig(config)
  const log = context.log ?? createLog()
  const draining = new AbortController()
  const stopped = new AbortController()
  const signal = context.signal ?? draining.signal
  const resources = await openResources(parsed, { log, signal })
  let connection: NativeConnection | undefined
  try {
    const consumers = await Promise.all(
      parsed.consumers.map(async (consumer): Promise<ReadyConsumer> => {
        const { group, stream } = consumer.settings
        const { source, records } = resources.of(consumer)
        const [partitions, record] = await Promise.all([source.partitions(), records.read({ group, stream })])
        const stopped = record && stopText(record)
        return { group, stream, partitions: partitions.length, version: consumer.version, stopped }
      }),
    )
    connection = await connectTemporal(parsed, log, signal)
    const workers = await createWorkers(parsed, connection, resources, {
      log,
      draining: draining.signal,
      stopped: stopped.signal,
    })
    const held = connection
    const end = async () => {
      await resources.close()
      await held.close()
    }
    const worker = new TidemarkWorker({ consumers, workers, end, draining, stopped, graceMs: parsed.shutdownTimeoutMs })
    context.signal?.addEventListener('abort', () => worker.shutdown(), { once: true })
    return worker
  } catch (error) {
    await resources.close()
    await connection?.close()
    throw error
  }
}

async function connectTemporal(
  { temporal, connectTimeoutMs }: ParsedConfig,
  log: Log,
  signal: AbortSignal,
): Promise<NativeConnection> {
  const connect = async () => {
    const connection = await NativeConnection.connect(connectionOptions(temporal)).catch((error) => {
      throw temporalError(error, temporal)
    })
    try {
      await requireNamespace(connection, temporal)
      return connection
    } catch (error) {
      await connection.close()
      throw error
    }
  }
  return connectWithin(`Temporal at ${temporal.address}`, connect, { timeoutMs: connectTimeoutMs, log, signal })
}

/** One worker for all workflows; for each consumer, one that works batches and one for everything that must not wait behind them. */
async function createWorkers(
  config: ParsedConfig,
  connection: NativeConnection,
  resources: Resources,
  life: { log: Log; draining: AbortSignal; stopped: AbortSignal },
): Promise<Worker[]> {
  const { namespace } = config.temporal
  const common = {
    connection,
    namespace,
    identity: `${process.pid}@${hostname()}`,
    shutdownGraceTime: config.shutdownTimeoutMs + shutdownMargin,
    shutdownForceTime: config.shutdownTimeoutMs + 2 * shutdownMargin,
    // Slices begin together, so several tasks come at once.
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 5, maximum: 20 },
  } satisfies Partial<WorkerOptions>
  const workers = [
    await Worker.create({
      ...common,
      taskQueue: config.taskQueue,
      workflowBundle: await workflowBundle(),
      maxCachedWorkflows: cachedWorkflows,
      // A worker that was killed is missed after so long, when it was about to decide what comes next.
      stickyQueueScheduleToStartTimeout:
        Math.min(...config.consumers.map(({ settings }) => settings.heartbeatTimeoutMs)) / 2,
    }),
  ]
  const budget = new SharedBudget(config.memoryBytes)
  const cluster = new TemporalCluster(new Client({ connection, namespace }))
  for (const consumer of config.consumers) {
    const { settings, handler, version, dedupe, until } = consumer
    const queues = queuesOf(config.taskQueue, settings.group, settings.stream)
    const { source, progress, store, output, records } = resources.of(consumer)
    const runtime: ConsumerRuntime = {
      settings,
      version,
      queues,
      handler,
      source,
      store,
      records,
      slots: new Slots(settings.concurrency),
      keepOffset: (key) =>
        store
          .keep(key)
          .catch((error) => life.log.debug({ ...key, error: messageOf(error) }, 'could not show the offset again')),
      progress,
      ...(output && { output }),
      ...(until && { until }),
      ...(dedupe && { dedupe: new Deduplicator(dedupe, progress, life.log, life.draining) }),
      budget,
      cluster,
      ...life,
    }
    const throttle = {
      maxHeartbeatThrottleInterval: heartbeatThrottle,
      defaultHeartbeatThrottleInterval: heartbeatThrottle,
    }
    workers.push(
      await Worker.create({
        ...common,
        ...throttle,
        taskQueue: queues.control,
        activities: controlActivities(runtime),
        maxConcurrentActivityTaskExecutions: controlSlots,
      }),
      await Worker.create({
        ...common,
        ...throttle,
        taskQueue: batchQueue(queues, version),
        activities: batchActivities(runtime),
        maxConcurrentActivityTaskExecutions: batchSlots,
      }),
    )
  }
  return workers
}
