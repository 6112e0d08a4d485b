import net from 'node:net'
import tls from 'node:tls'
import type { Log } from '../../ports/index.js'
import { apiKeys, BrokerClass, connectionPoolBuilder, kafkajs, loggers, protocol } from './kafkajs.js'
import type { KafkaSettings } from './options.js'
import { loginOf } from './token-login.js'

/*
 * kafkajs makes the connections, negotiates versions and authenticates. It offers no manual assignment and decodes fetched
 * records wrongly, so Tidemark reaches beneath its consumer: this file is the only one that does.
 */

/** Milliseconds of silence after which the kernel probes a connection. */
const keepAliveMs = 30_000

/** Where a broker listens. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly rack?: string | null
}

export interface BrokerAddress extends Address {
  readonly nodeId: number
}

/** One of kafkajs's broker objects, over one socket. */
export interface Broker {
  connect(): Promise<void>
  lookupRequest(apiKey: number, definition: unknown): (args: object) => Request
  /** What the broker speaks, by API key; there once it is connected. */
  readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>
}

interface Request {
  readonly request: { readonly apiVersion: number }
  readonly response: { readonly decode: (raw: Buffer) => Promise<unknown> }
}

export interface Connection {
  readonly socket?: net.Socket
  readonly requestQueue: { readonly pending: unknown[]; scheduleCheckPendingRequests(): void }
  isConnected(): boolean
  rejectRequests(error: Error): void
  disconnect(): Promise<unknown>
}

export interface ConnectionPool {
  readonly pool: Connection[]
  send(request: object): Promise<unknown>
}

export interface Wire {
  readonly broker: Broker
  readonly pool: ConnectionPool
  readonly connection: Connection
}

/** Makes wires to brokers. A wire connects when its broker is told to. */
export class Connector {
  readonly #build: (destination: Address) => Promise<ConnectionPool>
  readonly #logger: unknown

  constructor(
    readonly settings: KafkaSettings,
    log: Log,
  ) {
    this.#logger = loggers.createLogger({
      level: loggers.LEVELS.INFO,
      logCreator: () => (entry: LogEntry) => forward(entry, log),
    })
    this.#build = connectionPoolBuilder({
      brokers: [...settings.brokers],
      clientId: settings.clientId,
      ssl: settings.ssl,
      sasl: settings.sasl && loginOf(settings.sasl),
      connectionTimeout: settings.connectionTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      reauthenticationThreshold: 10_000,
      enforceRequestTimeout: true,
      maxInFlightRequests: null,
      socketFactory,
      logger: this.#logger,
    }).build
  }

  async wire(address: Address): Promise<Wire> {
    const pool = await this.#build(address)
    const connection = pool.pool[0]!
    // kafkajs keeps one connection for Fetch and one for the rest; nobody here needs a second socket.
    pool.pool[1] = connection
    calm(connection)
    const broker = new BrokerClass({ connectionPool: pool, logger: this.#logger, allowAutoTopicCreation: false })
    return { broker, pool, connection }
  }
}

/** What Tidemark asks of brokers, as kafkajs names it. */
export type RequestName =
  | 'Fetch'
  | 'Metadata'
  | 'ListOffsets'
  | 'GroupCoordinator'
  | 'OffsetFetch'
  | 'OffsetCommit'
  | 'DescribeGroups'
  | 'ListGroups'

/** What Tidemark encodes itself, or has kafkajs encode. */
export type SpokenName = RequestName | 'OffsetForLeaderEpoch'

/** A request in the newest version that both sides know. */
export function request({ broker }: Wire, name: RequestName, args: object): Request {
  return broker.lookupRequest(apiKeys[name], protocol.requests[name])(args)
}

export function speaks({ broker }: Wire, name: SpokenName, version: number): boolean {
  const spoken = broker.versions[apiKeys[name]]
  return spoken !== undefined && spoken.minVersion <= version && version <= spoken.maxVersion
}

/** A request of a version that kafkajs knows nothing of. `body` is all that follows its header, of version 1. */
export function ownRequest(name: SpokenName, version: number, body: Buffer): object {
  // What kafkajs looks at in one of its encoders.
  return {
    apiKey: apiKeys[name],
    apiName: name,
    apiVersion: version,
    encode: async () => ({ buf: body, buffer: body }),
  }
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

/** kafkajs re-arms a timer every ms while nothing is pending (tulios/kafkajs#1704); an idle process shall be idle. */
function calm({ requestQueue }: Connection): void {
  const schedule = requestQueue.scheduleCheckPendingRequests
  requestQueue.scheduleCheckPendingRequests = () => {
    if (requestQueue.pending.length > 0) schedule.call(requestQueue)
  }
}

/** What kafkajs names a failure: `SASL_AUTHENTICATION_FAILED`, or the class of a connection's error. */
export function failureType(error: unknown): string {
  const root = error instanceof kafkajs.KafkaJSNumberOfRetriesExceeded ? (error.cause ?? error) : error
  if (typeof root !== 'object' || root === null) return ''
  return String(Reflect.get(root, 'type') ?? Reflect.get(root, 'name') ?? '')
}
