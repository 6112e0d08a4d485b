import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { run } from './command.js'
import { Server, type ServerKind } from './server.js'

export interface KafkaProgram {
  readonly java: string
  /** For the broker. */
  readonly javaOptions: readonly string[]
  /** Folder of the broker's jars and of Kafka's own tools: `java -cp HOME/* org.apache.kafka.tools...`. */
  readonly home: string
}

export interface LocalKafka {
  readonly brokers: readonly string[]
  readonly home: string
  readonly server: Server
  readonly cluster: KafkaCluster
}

/** How further brokers find a cluster. */
export interface KafkaCluster {
  readonly id: string
  /** `node@host:port` */
  readonly controller: string
}

export interface KafkaOptions {
  /** Default: one that is free. */
  readonly port?: number
  /** More broker settings, by Kafka's own names; they win. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** More listeners, beside the one without encryption or login that the broker is asked at whether it is ready. */
  readonly listeners?: readonly KafkaListener[]
  /** Users for SCRAM, as Kafka's storage tool takes them: `SCRAM-SHA-256=[name=ada,password=secret]`. */
  readonly scram?: readonly string[]
  /** The port of 127.0.0.1 that clients are sent to, where that is another one than the broker's own: of a proxy, for example. */
  readonly advertised?: (port: number) => Promise<number>
  /** Its number in its cluster. Default 1. */
  readonly node?: number
  /** Makes it one more broker of a cluster, rather than a cluster of its own. */
  readonly joins?: KafkaCluster
  /** The most memory that it takes for objects, as Java writes it, from `256m`. Default `1g`. */
  readonly memory?: string
  /** Milliseconds that it gets to end in order before it is killed. Default 10,000. */
  readonly stopWithin?: number
  /** More environment variables of the broker's process. */
  readonly env?: Readonly<Record<string, string>>
}

export interface KafkaListener {
  /** Capital letters and underscores; settings of it begin with `listener.name.` and its name in small letters. */
  readonly name: string
  /** `127.0.0.1:9093` */
  readonly address: string
  readonly protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
}

/** Starts a broker that is its own controller (KRaft), or one more of a cluster; resolves when it answers as a part of it. */
export async function startKafka(program: KafkaProgram, options: KafkaOptions = {}): Promise<LocalKafka> {
  // A dash in front would be taken for an option.
  const id = options.joins?.id ?? randomBytes(16).toString('base64url').replace(/^-/, 'A')
  const server = await Server.start(kafkaServer(program, id, options))
  const [port, controllerPort] = server.ports
  const controller = options.joins?.controller ?? `${nodeOf(options)}@127.0.0.1:${controllerPort}`
  return { brokers: [`127.0.0.1:${port}`], home: program.home, server, cluster: { id, controller } }
}

const nodeOf = ({ node = 1 }: KafkaOptions) => node

function kafkaServer({ java, javaOptions, home }: KafkaProgram, cluster: string, options: KafkaOptions): ServerKind {
  const classes = ['-cp', join(home, '*')]
  const quick = [
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Xshare:auto',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  ]
  return {
    name: 'kafka',
    ports: 2,
    ...(options.port && { at: [options.port] }),
    stopSignal: 'SIGTERM',
    stopWithin: options.stopWithin ?? 10_000,
    readyWithin: 90_000,
    prepare: async (folder, [port, controllerPort]) => {
      const settings = join(folder, 'server.properties')
      const advertised = (await options.advertised?.(port!)) ?? port!
      await writeFile(settings, properties(folder, port!, controllerPort!, advertised, options))
      const format = ['kafka.tools.StorageTool', 'format', '--ignore-formatted', '-t', cluster, '-c', settings]
      for (const user of options.scram ?? []) format.push('--add-scram', user)
      await run(java, [...quick, ...classes, ...format], { cwd: folder })
      return {
        command: java,
        args: [
          '-Xms256m',
          `-Xmx${options.memory ?? '1g'}`,
          '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
          ...javaOptions,
          ...classes,
          'kafka.Kafka',
          settings,
        ],
        cwd: folder,
        ...(options.env && { env: { ...process.env, ...options.env } }),
      }
    },
    ready: ([port]) => ready(`127.0.0.1:${port}`, nodeOf(options)),
  }
}

/** Settings of one broker for tests: quick to start, quick to compact, nothing created by accident. */
function properties(
  folder: string,
  port: number,
  controllerPort: number,
  advertised: number,
  options: KafkaOptions,
): string {
  const { joins } = options
  const node = nodeOf(options)
  const { listeners = [] } = options
  const more = listeners.map(({ name, address }) => `${name}://${address}`)
  const listener = [`PLAINTEXT://127.0.0.1:${port}`, ...more].join()
  const settings = {
    'process.roles': joins ? 'broker' : 'broker,controller',
    'node.id': node,
    'controller.quorum.voters': joins?.controller ?? `${node}@127.0.0.1:${controllerPort}`,
    listeners: joins ? listener : `${listener},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${advertised}`, ...more].join(),
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': [
      'PLAINTEXT:PLAINTEXT',
      'CONTROLLER:PLAINTEXT',
      ...listeners.map(({ name, protocol }) => `${name}:${protocol}`),
    ].join(),
    'log.dirs': join(folder, 'logs'),
    'auto.create.topics.enable': false,
    'default.replication.factor': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 5,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 5,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // Compaction tests wait for the cleaner, and retention tests for the retention check.
    'log.cleaner.backoff.ms': 200,
    'log.retention.check.interval.ms': 1_000,
    'log.initial.task.delay.ms': 500,
    // After kill -9 the broker may come back only when its old session is over (9 s by default).
    'broker.session.timeout.ms': 6_000,
    'broker.heartbeat.interval.ms': 500,
    'controlled.shutdown.max.retries': 1,
    ...options.settings,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

async function ready(broker: string, node: number): Promise<void> {
  const admin = new Kafka({
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 3_000,
    retry: { retries: 0 },
  }).admin()
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    if (!brokers.some(({ nodeId }) => nodeId === node)) throw new Error('the broker has not joined its controller yet')
  } finally {
    await admin.disconnect()
  }
}
