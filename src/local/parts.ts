import type { KafkaOptions } from './kafka.js'
import { startKafka } from './kafka.js'
import { quickKafkaProgram } from './kafka-program.js'
import { type PostgresOptions, startPostgres } from './postgres.js'
import { postgresPrograms } from './postgres-program.js'
import type { Progress } from './progress.js'
import { type RabbitmqOptions, startRabbitmq } from './rabbitmq.js'
import { rabbitmqProgram } from './rabbitmq-program.js'
import { type Controls, controlsOf, type Server } from './server.js'
import { startTemporal, type TemporalAddress, type TemporalOptions } from './temporal.js'
import { temporalProgram } from './temporal-program.js'

/** Asked of a part: start one even where the environment names a running one, for tests that stop it. */
export interface Own {
  readonly own?: boolean
}

export interface TemporalPart extends TemporalAddress, Controls {}

export interface PostgresPart extends Controls {
  /** A superuser's, for the database `postgres`. */
  readonly connectionString: string
}

export interface KafkaPart extends Controls {
  readonly brokers: readonly string[]
  /** Folder of the broker's jars, for Kafka's own tools; null for a broker we did not start (see `kafkaProgram`). */
  readonly home: string | null
}

export interface RabbitmqPart extends Controls {
  /** `rabbitmq-stream://user:password@host:port` */
  readonly url: string
  /** The broker's port for AMQP, with user and password; null where nobody named it. */
  readonly amqpUrl: string | null
  /** `rabbitmq-stream+tls://...`; null where the broker was started without certificates, or not by us. */
  readonly tlsUrl: string | null
  /** The management plugin's HTTP interface, with user and password; null where nobody named it. */
  readonly managementUrl: string | null
}

/** A part, and how to end it. */
export interface Found<T> {
  readonly part: T
  close(): Promise<void>
}

/** TEMPORAL_ADDRESS with TEMPORAL_NAMESPACE, or a dev server of our own. */
export async function findTemporal(options: TemporalOptions & Own, progress: Progress): Promise<Found<TemporalPart>> {
  const address = options.own ? undefined : process.env.TEMPORAL_ADDRESS
  if (address) {
    const namespace = process.env.TEMPORAL_NAMESPACE || 'default'
    return external({ address, namespace, uiUrl: null, metricsUrl: null, ...notOurs('Temporal', 'TEMPORAL_ADDRESS') })
  }
  const { server, ...addresses } = await startTemporal(await temporalProgram(progress), options)
  return ours({ ...addresses, ...controlsOf(server) }, server)
}

/** DATABASE_URL, or a Postgres of our own. */
export async function findPostgres(options: PostgresOptions & Own): Promise<Found<PostgresPart>> {
  const connectionString = options.own ? undefined : process.env.DATABASE_URL
  if (connectionString) return external({ connectionString, ...notOurs('Postgres', 'DATABASE_URL') })
  const { server, ...addresses } = await startPostgres(await postgresPrograms(), options)
  return ours({ ...addresses, ...controlsOf(server) }, server)
}

/** KAFKA_BROKERS (commas between them), or a broker of our own. */
export async function findKafka(options: KafkaOptions & Own, progress: Progress): Promise<Found<KafkaPart>> {
  const brokers = options.own ? undefined : process.env.KAFKA_BROKERS
  if (brokers) {
    const list = brokers.split(',').map((broker) => broker.trim())
    return external({ brokers: list, home: null, ...notOurs('Kafka', 'KAFKA_BROKERS') })
  }
  const { server, ...addresses } = await startKafka(await quickKafkaProgram(progress), options)
  return ours({ ...addresses, ...controlsOf(server) }, server)
}

/** RABBITMQ_URL (with RABBITMQ_AMQP_URL and RABBITMQ_MANAGEMENT_URL), or a broker of our own. */
export async function findRabbitmq(options: RabbitmqOptions & Own, progress: Progress): Promise<Found<RabbitmqPart>> {
  const url = options.own ? undefined : process.env.RABBITMQ_URL
  if (url) {
    const managementUrl = process.env.RABBITMQ_MANAGEMENT_URL || null
    const amqpUrl = process.env.RABBITMQ_AMQP_URL || null
    return external({ url, amqpUrl, tlsUrl: null, managementUrl, ...notOurs('RabbitMQ', 'RABBITMQ_URL') })
  }
  const { server, ...addresses } = await startRabbitmq(await rabbitmqProgram(progress), options)
  return ours({ ...addresses, ...controlsOf(server) }, server)
}

function ours<T>(part: T, server: Server): Found<T> {
  return { part, close: () => server.close() }
}

function external<T>(part: T): Found<T> {
  return { part, close: async () => {} }
}

/** Controls of somebody else's server: each throws. */
function notOurs(what: string, variable: string): Controls {
  const refuse = async () => {
    throw new Error(`${what} was named by ${variable}, not started here, so it can't be stopped or started here`)
  }
  return { stop: refuse, kill: refuse, restart: refuse, pause: refuse, resume: refuse }
}
