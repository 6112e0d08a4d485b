import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { run } from './command.js'
import type { KafkaProgram } from './kafka-program.js'
import { Server, type ServerKind } from './server.js'

export interface LocalKafka {
  readonly brokers: readonly string[]
  readonly home: string
  readonly server: Server
}

export interface KafkaOptions {
  /** More broker settings, by Kafka's own names; they win. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** The port of 127.0.0.1 that clients are sent to, where that is another one than the broker's own: of a proxy, for example. */
  readonly advertised?: (port: number) => Promise<number>
}

/** Starts a broker that is its own controller (KRaft); resolves when it answers as a cluster of one. */
export async function startKafka(program: KafkaProgram, options: KafkaOptions = {}): Promise<LocalKafka> {
  const server = await Server.start(kafkaServer(program, options))
  return { brokers: [`127.0.0.1:${server.ports[0]}`], home: program.home, server }
}

function kafkaServer({ java, home }: KafkaProgram, options: KafkaOptions): ServerKind {
  // A dash in front would be taken for an option.
  const cluster = randomBytes(16).toString('base64url').replace(/^-/, 'A')
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
    stopSignal: 'SIGTERM',
    stopWithin: 10_000,
    readyWithin: 90_000,
    prepare: async (folder, [port, controllerPort]) => {
      const settings = join(folder, 'server.properties')
      const advertised = (await options.advertised?.(port!)) ?? port!
      await writeFile(settings, properties(folder, port!, controllerPort!, advertised, options))
      const format = ['kafka.tools.StorageTool', 'format', '--ignore-formatted', '-t', cluster, '-c', settings]
      await run(java, [...quick, ...classes, ...format], { cwd: folder })
      return {
        command: java,
        args: [
          '-Xms256m',
          '-Xmx1g',
          '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
          ...classes,
          'kafka.Kafka',
          settings,
        ],
        cwd: folder,
      }
    },
    ready: ([port]) => ready(`127.0.0.1:${port}`),
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
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertised}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
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

async function ready(broker: string): Promise<void> {
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
    if (brokers.length === 0) throw new Error('the broker has not joined its controller yet')
  } finally {
    await admin.disconnect()
  }
}
