import net from 'node:net'
import tls from 'node:tls'
import kafkajs from 'kafkajs'
import BrokerClass from 'kafkajs/src/broker/index.js'
import ClusterClass from 'kafkajs/src/cluster/index.js'
import loggers from 'kafkajs/src/loggers/index.js'
import apiKeys from 'kafkajs/src/protocol/requests/apiKeys.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import type { Log } from '../../ports.js'
import type { KafkaSettings } from './options.js'

/*
 * kafkajs makes the connections, negotiates versions, authenticates and finds leaders. It offers no manual assignment and
 * decodes fetched records wrongly, so Tidemark reaches beneath its consumer: this file is the only one that does.
 */

/** Seconds of silence after which the kernel probes a connection. */
const keepAliveMs = 30_000
/** The Fetch version whose layout fetch.ts reads; brokers have it since Kafka 2.3. KIP-392. */
const fetchVersion = 11

export interface BrokerAddress {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface TopicMetadata {
  readonly brokers: readonly BrokerAddress[]
  readonly topicMetadata: readonly {
    readonly topic: string
    readonly partitionMetadata: readonly {
      readonly partitionErrorCode: number
      readonly partitionId: number
      readonly leader: number
    }[]
  }[]
}

export interface Cluster {
  readonly connectionPoolBuilder: { build(destination?: Partial<BrokerAddress>): Promise<ConnectionPool> }
  readonly rootLogger: unknown
  connect(): Promise<void>
  disconnect(): Promise<void>
  metadata(options: { topics: string[] }): Promise<TopicMetadata>
}

export interface Broker {
  readonly connectionPool: ConnectionPool
  connect(): Promise<void>
  lookupRequest(
    apiKey: number,
    definition: unknown,
  ): (args: Record<string, unknown>) => { request: { apiVersion: number }; response: unknown }
  listOffsets(args: {
    isolationLevel: number
    topics: { topic: string; partitions: { partition: number; timestamp: string | number }[] }[]
  }): Promise<{ responses: { topic: string; partitions: { partition: number; offset: string }[] }[] }>
}

interface Connection {
  readonly requestQueue: { readonly pending: unknown[]; scheduleCheckPendingRequests(): void }
  rejectRequests(error: Error): void
  disconnect(): Promise<unknown>
}

interface ConnectionPool {
  readonly pool: Connection[]
  send(request: object): Promise<Buffer>
}

/** A fetch of one or more partitions of a topic. */
export interface FetchRequest {
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly partitions: readonly { readonly partition: number; readonly from: bigint; readonly maxBytes: number }[]
}

/** Keeps metadata current over connections of its own; readers have theirs. Connects at the first request. */
export function createCluster(settings: KafkaSettings, log: Log): Cluster {
  const cluster = new ClusterClass({
    brokers: [...settings.brokers],
    clientId: settings.clientId,
    ssl: settings.ssl,
    sasl: settings.sasl,
    connectionTimeout: settings.connectionTimeoutMs,
    authenticationTimeout: settings.connectionTimeoutMs,
    reauthenticationThreshold: 10_000,
    requestTimeout: settings.requestTimeoutMs,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    maxInFlightRequests: null,
    // Tidemark does the trying again: it knows how long, and what to say meanwhile.
    retry: { retries: 0, initialRetryTime: 100, maxRetryTime: 1_000 },
    isolationLevel: settings.readUncommitted ? 0 : 1,
    socketFactory,
    logger: loggers.createLogger({
      level: loggers.LEVELS.INFO,
      logCreator: () => (entry: LogEntry) => forward(entry, log),
    }),
  })
  const { build } = cluster.connectionPoolBuilder
  cluster.connectionPoolBuilder.build = async (destination) => calmed(await build(destination))
  return cluster
}

interface LogEntry {
  readonly level: number
  readonly namespace: string
  readonly log: { readonly message: string; readonly error?: string }
}

/** kafkajs logs every refused connection as an error; what it means is said by whoever asked for the connection. */
function forward({ namespace, log: { message, error } }: LogEntry, log: Log): void {
  log.debug({ driver: namespace, ...(error ? { error } : {}) }, message)
}

function socketFactory({
  host,
  port,
  ssl,
  onConnect,
}: {
  host: string
  port: number
  ssl?: tls.ConnectionOptions
  onConnect: () => void
}): net.Socket {
  const socket = ssl
    ? tls.connect({ host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : net.connect({ host, port }, onConnect)
  // A request is one small packet: waiting to fill it only adds latency.
  socket.setNoDelay(true)
  socket.setKeepAlive(true, keepAliveMs)
  return socket
}

/** One socket to one broker, for one reader: its long polls delay nobody else. */
export class BrokerLink {
  readonly #broker: Broker
  #closed = false

  private constructor(broker: Broker) {
    this.#broker = broker
  }

  /** Connects and authenticates. */
  static async open(cluster: Cluster, { host, port, rack, nodeId }: BrokerAddress): Promise<BrokerLink> {
    const connectionPool = await cluster.connectionPoolBuilder.build({ host, port, rack })
    // kafkajs keeps one connection for Fetch and one for the rest; a reader needs no second socket.
    connectionPool.pool[1] = connectionPool.pool[0]!
    const broker = new BrokerClass({
      connectionPool,
      nodeId,
      logger: cluster.rootLogger,
      allowAutoTopicCreation: false,
    })
    const link = new BrokerLink(broker)
    try {
      await broker.connect()
      return link
    } catch (error) {
      await link.close()
      throw error
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The raw body of a Fetch response, behind its header. */
  async fetch(
    topic: string,
    settings: KafkaSettings,
    { maxWaitMs, maxBytes, partitions }: FetchRequest,
  ): Promise<Buffer> {
    const { request } = this.#broker.lookupRequest(
      apiKeys.Fetch,
      protocol.requests.Fetch,
    )({
      replicaId: -1,
      maxWaitTime: maxWaitMs,
      minBytes: 1,
      maxBytes,
      isolationLevel: settings.readUncommitted ? 0 : 1,
      rackId: settings.rackId,
      topics: [
        {
          topic,
          partitions: partitions.map(({ partition, from, maxBytes }) => ({
            partition,
            fetchOffset: String(from),
            maxBytes,
          })),
        },
      ],
    })
    if (request.apiVersion !== fetchVersion)
      throw new Error(
        `the broker speaks version ${request.apiVersion} of Fetch; Tidemark needs version ${fetchVersion} (Kafka 2.3 or newer)`,
      )
    return this.#broker.connectionPool.send({
      request,
      requestTimeout: maxWaitMs + settings.requestTimeoutMs,
      response: { decode: async (raw: Buffer) => raw, parse: async (raw: Buffer) => raw },
    })
  }

  /** Offsets by time: -2 the first, -1 the head, otherwise the first at or after that time (-1 when there is none). */
  async listOffsets(
    topic: string,
    isolationLevel: 0 | 1,
    partitions: readonly { partition: number; timestamp: number }[],
  ): Promise<Map<number, bigint>> {
    const { responses } = await this.#broker.listOffsets({
      isolationLevel,
      topics: [{ topic, partitions: [...partitions] }],
    })
    return new Map(responses[0]!.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
  }

  /** Ends the socket and rejects what is in flight. */
  async close(): Promise<void> {
    this.#closed = true
    const [connection] = this.#broker.connectionPool.pool
    connection!.rejectRequests(new Error('the connection was closed'))
    await connection!.disconnect().catch(() => {})
  }
}

/** kafkajs re-arms a timer every ms while nothing is pending (tulios/kafkajs#1704); an idle process shall be idle. */
function calmed(pool: ConnectionPool): ConnectionPool {
  for (const { requestQueue } of pool.pool) {
    const schedule = requestQueue.scheduleCheckPendingRequests
    requestQueue.scheduleCheckPendingRequests = () => {
      if (requestQueue.pending.length > 0) schedule.call(requestQueue)
    }
  }
  return pool
}

/** What kafkajs names a failure: `UNKNOWN_TOPIC_OR_PARTITION`, or the class of a connection's error. */
export function failureType(error: unknown): string {
  const root = error instanceof kafkajs.KafkaJSNumberOfRetriesExceeded ? (error.cause ?? error) : error
  if (typeof root !== 'object' || root === null) return ''
  return String(Reflect.get(root, 'type') ?? Reflect.get(root, 'name') ?? '')
}
