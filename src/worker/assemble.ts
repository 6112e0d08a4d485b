import { setMaxListeners } from 'node:events'
import type { Client } from '@temporalio/client'
import { NativeConnection } from '@temporalio/worker'
import type { Story } from '../../activities/index.js'
import { placeOf } from '../client/deadline.js'
import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { TidemarkError } from '../model/errors.js'
import type { Log } from '../ports/index.js'
import { stopText } from '../ports/stop-text.js'
import { TemporalCluster } from '../temporal/cluster.js'
import { clientOf, connectionOptions, requireNamespace, temporalError } from '../temporal/connection.js'
import { askWithin, connectWithin } from './connect.js'
import { Listeners } from './listeners.js'
import { createLog } from './log.js'
import { Monitoring, type MonitoringOptions } from './monitoring.js'
import { openResources, type Resources } from './resources.js'
import { createSdkWorkers, type SdkSeams } from './sdk-workers.js'
import { sendTemporalLogTo } from './temporal-log.js'
import { createWatchdog } from './watchdog.js'
import { type ReadyConsumer, TidemarkWorker } from './worker.js'

export interface WorkerContext extends MonitoringOptions {
  /**
   * Default: JSON lines on standard error, level LOG_LEVEL or `info`. The lines of Temporal's SDK go there, too, unless the process has
   * installed a `Runtime` of its own before. The SDK has one log for a process: a line that is about no single worker goes to the
   * log of the worker that was created last.
   */
  readonly log?: Log
  /** Ends connecting, and later the worker. */
  readonly signal?: AbortSignal
  /**
   * Overwrites offsets that other consumers have left in Kafka or RabbitMQ under the names of the config's groups. Default: they stay,
   * and the log tells of them, until a group has handled past them.
   */
  readonly overwriteOffsets?: boolean
}

/** What somebody brings who runs workers for a while and Temporal for longer: see `tidemark/testing`. */
export interface WorkerSeams extends SdkSeams {
  /** Stays open when the worker ends. */
  readonly connection: NativeConnection
  /** For questions and signals. */
  readonly client: Client
}

/** As `createWorker` (create.ts), of a config that has been checked. */
export async function assembleWorker(
  parsed: ParsedConfig,
  context: WorkerContext,
  seams?: WorkerSeams,
): Promise<TidemarkWorker> {
  const log = context.log ?? createLog()
  const listeners = new Listeners(log)
  const draining = new AbortController()
  const stopped = new AbortController()
  // Each batch that is open listens.
  setMaxListeners(0, draining.signal, stopped.signal)
  const watching = new AbortController()
  const signal = context.signal ?? draining.signal
  requireWanted(signal)
  let resources: Resources | undefined
  let connection: NativeConnection | undefined
  let closing: Promise<void> | undefined
  const monitoring = await Monitoring.begin(context, log)
  const { metrics } = monitoring
  const { taskQueue } = parsed
  let forgetLog: (() => void) | undefined
  const close = () => {
    const closers = [() => resources?.close(), () => connection?.close(), () => forgetLog?.()]
    // Probes see to the end that the worker is stopping.
    closing ??= closeAll(closers).finally(() => monitoring.close())
    return closing
  }
  try {
    forgetLog = await sendTemporalLogTo(log, { taskQueue, metrics: metrics !== null })
    resources = await openResources(parsed, { log, signal })
    const opened = resources
    const consumers = await Promise.all(
      parsed.consumers.map((consumer) =>
        readyConsumer(consumer, opened, {
          timeoutMs: parsed.connectTimeoutMs,
          log,
          signal,
          overwriteOffsets: context.overwriteOffsets ?? false,
        }),
      ),
    )
    if (!seams) connection = await connectTemporal(parsed, log, signal)
    const temporal = seams ?? temporalOf(connection!, parsed)
    const { client } = temporal
    requireWanted(signal)
    const stories: Story[] = []
    const tells = (story: Story) => void stories.push(story)
    const life = { log, listeners, tells, metrics, draining: draining.signal, stopped: stopped.signal }
    const cluster = new TemporalCluster(client)
    const partitions = consumers.map((consumer) => consumer.partitions)
    const workers = await createSdkWorkers(
      parsed,
      { connection: temporal.connection, cluster, resources, partitions },
      life,
      seams,
    )
    const watchdog = createWatchdog(parsed.consumers, {
      client,
      temporal: parsed.temporal,
      deployment: taskQueue,
      records: resources.of(parsed.consumers[0]!).records,
      log,
      signal: watching.signal,
      stranded: cluster.stranded,
    })
    const graceMs = parsed.shutdownTimeoutMs
    const end = async () => {
      context.signal?.removeEventListener('abort', shutdown)
      await close()
    }
    const parts = {
      ...{ consumers, workers, watchdog, watching, end, draining, stopped, graceMs, listeners, log, stories },
      monitoring,
    }
    const worker = new TidemarkWorker(parts)
    monitoring.connected(worker, workers, neededBy(parsed, temporal.connection, resources))
    const shutdown = () => worker.shutdown()
    context.signal?.addEventListener('abort', shutdown, { once: true })
    if (!signal.aborted) return worker
    worker.shutdown()
    await worker.run()
    throw endedEarly()
  } catch (error) {
    await close()
    throw error
  }
}

function temporalOf(connection: NativeConnection, { temporal }: ParsedConfig) {
  return { connection, client: clientOf(connection, temporal) }
}

/** What the worker can do nothing without, and how that is asked whether it is there. */
function neededBy({ temporal, store, consumers }: ParsedConfig, connection: NativeConnection, resources: Resources) {
  const { group, stream } = consumers[0]!.settings
  return [
    { place: `Temporal at ${temporal.address}`, ask: () => requireNamespace(connection, temporal) },
    {
      place: `the store's database, ${placeOf(store.database)}`,
      ask: () => resources.of(consumers[0]!).records.read({ group, stream }),
    },
  ]
}

async function closeAll(closers: readonly (() => unknown)[]): Promise<void> {
  for (const close of closers) await close()
}

async function readyConsumer(
  consumer: ParsedConsumer,
  resources: Resources,
  {
    overwriteOffsets,
    ...waiting
  }: {
    readonly timeoutMs: number
    readonly log: Log
    readonly signal: AbortSignal
    readonly overwriteOffsets: boolean
  },
): Promise<ReadyConsumer> {
  const { group, stream, slices } = consumer.settings
  const { source, records, sql, store } = resources.of(consumer)
  const [partitions, record] = await Promise.all([
    askWithin(placeOf(consumer.source), () => source.partitions(), waiting),
    askWithin("the store's database", () => records.read({ group, stream }), waiting),
    overwriteOffsets && askWithin(placeOf(consumer.source), () => store.claimForeign({ group, stream }), waiting),
  ])
  if (record && slices !== undefined && record.slices !== slices)
    waiting.log.warn(
      { group, stream, slices: record.slices },
      `group ${group} on ${stream} keeps the ${record.slices} slices that it was started with, though its config says ${slices}: ` +
        `'tidemark reslice --group ${group} --stream ${stream} --slices ${slices}' changes that, or put slices: ${record.slices} into the config`,
    )
  // Beside connecting to Temporal: nobody waits for these.
  if (!overwriteOffsets) void store.lookForForeign({ group, stream })
  const transactions = consumer.handler.kind === 'transactional' ? consumer.settings.concurrency : 0
  void sql.prepare?.(Math.min(partitions.length, transactions))
  const stopped = record && stopText(record)
  return { group, stream, partitions: partitions.length, version: consumer.version, stopped }
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

function requireWanted(signal: AbortSignal): void {
  if (signal.aborted) throw endedEarly()
}

function endedEarly(): TidemarkError {
  return new TidemarkError('UNREACHABLE', 'the worker was told to end before it was ready')
}
