import { isIP, type Socket } from 'node:net'
import { addressText } from '../../model/address.js'
import { messageOf, TidemarkError } from '../../model/errors.js'
import { checkVersion } from './broker-version.js'
import { Refused } from './failures.js'
import { Frames } from './frames.js'
import type { RabbitmqSettings } from './options.js'
import {
  Connection,
  CreditRequest,
  HeartbeatRequest,
  MetadataRequest,
  Offset,
  OpenRequest,
  PartitionsQuery,
  QueryOffsetRequest,
  StoreOffsetRequest,
  StreamStatsRequest,
  SubscribeRequest,
  UnsubscribeRequest,
} from './requests.js'
import { strangerOf, WrongPort } from './strangers.js'

/*
 * The parts of rabbitmq-stream-js-client 1.0.0 that Tidemark uses, and where it goes around the rest; its version is pinned for
 * that reason. Requests and answers are the client's. The handshake is driven from here, because the client's own leaves errors
 * to nobody; and Deliver frames are taken from it, because it can't decode all of them and throws where no one can catch.
 */

export interface Address {
  readonly host: string
  readonly port: number
}

/** What a wire tells whoever holds it. */
export interface WireEvents {
  deliver(subscription: number, committed: bigint, chunk: Buffer): void
  /** The stream was deleted, or moved to other brokers. */
  gone(stream: string, code: number): void
  /** The broker knows no such subscription: nothing will come of it. */
  unknown(subscription: number, code: number): void
  closed(error: Error): void
}

export interface StreamInfo {
  readonly streamName: string
  readonly responseCode: number
  readonly leader?: Address
  readonly replicas?: readonly Address[]
}

interface Answer {
  readonly ok: boolean
  readonly code: number
}

/** What the client's types call private. */
interface Internals {
  readonly socket: Socket
  readonly decoder: { add(data: Buffer, compression: (type: number) => unknown): void }
  getCompression(type: number): unknown
  responseReceived(response: object): void
  sendAndWait(request: object): Promise<Answer>
  send(request: object): Promise<void>
  exchangeProperties(): Promise<{ properties: Record<string, string> }>
  exchangeCommandVersions(): Promise<void>
  auth(login: { username: string; password: string; mechanism: string }): Promise<void>
  tune(heartbeatSeconds: number): Promise<{ heartbeat: number }>
}

export const requests = {
  metadata: (stream: string) => new MetadataRequest({ streams: [name(stream)] }),
  partitions: (superStream: string) => new PartitionsQuery({ superStream: name(superStream) }),
  stats: (stream: string) => new StreamStatsRequest(name(stream)),
  subscribe: (subscriptionId: number, stream: string, start: StartAt, chunks: Chunks) =>
    new SubscribeRequest({
      subscriptionId,
      stream: name(stream),
      offset: offsetOf(start),
      credit: 0,
      // Read by every broker since 3.9, though its documents do not name it.
      properties: chunks === 'all' ? { chunk_selector: 'all' } : {},
    }),
  unsubscribe: (subscriptionId: number) => new UnsubscribeRequest(subscriptionId),
  storeOffset: (reference: string, stream: string, offsetValue: bigint) =>
    new StoreOffsetRequest({ reference: name(reference), stream: name(stream), offsetValue }),
  queryOffset: (reference: string, stream: string) =>
    new QueryOffsetRequest({ reference: name(reference), stream: name(stream) }),
}

/** The client counts UTF-16 units of a text and writes as many bytes as UTF-8 needs; of bytes it does both right. */
function name(text: string): string {
  return Buffer.from(text) as unknown as string
}

/** Chunks of messages only, or those with the broker's own notes, too. */
export type Chunks = 'user' | 'all'

/** Where a subscription begins: at the chunk with an offset, at the last chunk, at the first chunk written then or later. */
export type StartAt = 'last' | { readonly offset: bigint } | { readonly timestamp: number }

function offsetOf(start: StartAt): Offset {
  if (start === 'last') return Offset.last()
  return 'offset' in start ? Offset.offset(start.offset) : Offset.timestamp(new Date(start.timestamp))
}

const key = { deliver: 0x08, metadataUpdate: 0x10, close: 0x16, tune: 0x14, heartbeat: 0x17, metadata: 0x800f } as const
const creditAnswer = 0x8009
const silent = { error() {}, warn() {}, info() {}, debug() {} }

/** One connection to one broker. Everything that goes wrong ends in `closed`, once, and nowhere else. */
export class Wire {
  /** How clients shall address this broker, as it says itself. */
  advertised: Address | null = null
  lastHeard = performance.now()
  readonly #connection: Internals
  readonly #frames = new Frames((frame) => this.#frame(frame))
  readonly #waiting = new Set<(error: Error) => void>()
  #ended: Error | null = null
  #greeted = false

  /** Throws CONFIG_INVALID for TLS options that can't be used. */
  constructor(
    address: Address,
    private readonly settings: RabbitmqSettings,
    private readonly events: WireEvents,
  ) {
    const { ssl, username, password, vhost, connectionName } = settings
    const named = isIP(address.host) ? {} : { servername: address.host }
    const login = { hostname: address.host, port: address.port, username, password, vhost, connectionName }
    const params = { ...login, ...(ssl ? { ssl: { ...named, ...ssl } } : {}) }
    try {
      const connection = Connection.create(params as Parameters<typeof Connection.create>[0], silent)
      this.#connection = connection as unknown as Internals
    } catch (error) {
      throw new TidemarkError('CONFIG_INVALID', `rabbitmq().ssl can't be used: ${messageOf(error)}`)
    }
    const { socket } = this.#connection
    // A credit is one small packet: waiting to fill it only adds latency.
    socket.setNoDelay(true)
    socket.on('error', (error) => this.end(error))
    socket.on('close', () => this.end(new Error('the broker closed the connection')))
    socket.on('data', (data: Buffer) => this.#data(data))
  }

  /** The handshake. Throws Refused, or what the network said. */
  async open(): Promise<void> {
    const { settings } = this
    const connection = this.#connection
    const what = settings.ssl ? 'no TLS connection' : 'no connection'
    await this.#within(settings.connectionTimeoutMs, this.#connected(), what)
    const peer = await this.#step(connection.exchangeProperties())
    checkVersion(peer.properties, `the broker at ${addressText(settings)}`)
    const { username, password, vhost } = settings
    const tuning = connection.auth({ username, password, mechanism: 'PLAIN' })
    await this.#step(tuning).catch((error: Error) => {
      const code = /^Unable Authenticate -> (\d+)$/.exec(error.message)?.[1]
      throw code === undefined ? error : new Refused(Number(code))
    })
    await this.#step(connection.tune(Math.max(1, Math.round(settings.heartbeatMs / 1_000))))
    const { properties } = await this.ask<{ properties: Record<string, string> }>(
      new OpenRequest({ virtualHost: vhost }),
    )
    const { advertised_host: host, advertised_port: port } = properties
    if (host && port) this.advertised = { host, port: Number(port) }
    await this.#step(connection.exchangeCommandVersions())
  }

  /** Sends a request and waits for its answer. Throws Refused, or why there is none. */
  async ask<A>(request: object): Promise<A> {
    const answer = await this.#step(this.#connection.sendAndWait(request))
    if (!answer.ok) throw new Refused(answer.code)
    return answer as A
  }

  credit(subscriptionId: number, credit: number): void {
    this.tell(new CreditRequest({ subscriptionId, credit }))
  }

  heartbeat(): void {
    this.tell(new HeartbeatRequest())
  }

  /** Ends the connection; what still waits for answers gets `error`. */
  end(error: Error): void {
    if (this.#ended) return
    this.#ended = error
    this.#connection.socket.destroy()
    for (const reject of this.#waiting) reject(error)
    this.events.closed(error)
  }

  /** Sends what has no answer, or one that would not matter. */
  tell(request: object): void {
    this.#connection.send(request).catch((error) => this.end(error as Error))
  }

  #connected(): Promise<void> {
    const { socket } = this.#connection
    return new Promise((resolve) => socket.once(this.settings.ssl ? 'secureConnect' : 'connect', () => resolve()))
  }

  #step<T>(work: Promise<T>): Promise<T> {
    return this.#within(this.settings.requestTimeoutMs, work)
  }

  /** What does not end in time ends the connection: an answer that comes later would be taken for another's. */
  #within<T>(ms: number, work: Promise<T>, what = 'no answer'): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (error: unknown) => {
        settle()
        // The client rejects with the bare code of an answer that was quicker than its own bookkeeping.
        reject(typeof error === 'number' ? new Refused(error) : error)
      }
      const timer = setTimeout(() => this.end(new Error(`${what} within ${ms} ms`)), ms)
      const settle = () => {
        clearTimeout(timer)
        this.#waiting.delete(fail)
      }
      this.#waiting.add(fail)
      work.then((value) => {
        settle()
        resolve(value)
      }, fail)
      if (this.#ended) fail(this.#ended)
    })
  }

  #data(data: Buffer): void {
    this.lastHeard = performance.now()
    try {
      const stranger = this.#greeted ? null : strangerOf(data)
      if (stranger) throw new WrongPort(stranger)
      this.#greeted = true
      this.#frames.add(data)
    } catch (error) {
      this.end(error as Error)
    }
  }

  #frame(frame: Buffer): void {
    const kind = frame.readUInt16BE(4)
    if (this.#ended || kind === key.heartbeat) return
    // Credits are answered only where they can't be given.
    if (kind === creditAnswer) this.events.unknown(frame[10]!, frame.readUInt16BE(8))
    else if (kind === key.deliver) this.#deliver(frame)
    else if (kind === key.metadataUpdate) this.events.gone(stringAt(frame, 10), frame.readUInt16BE(8))
    else if (kind === key.close) throw new Error(`the broker ended the connection: ${stringAt(frame, 14)}`)
    else if (kind !== key.tune && kind !== key.metadata && frame.readUInt16BE(12) !== 1) {
      // Of an answer that says no, there may be nothing that the client could decode.
      const code = frame.readUInt16BE(12)
      const correlationId = frame.readUInt32BE(8)
      this.#connection.responseReceived({ key: kind, correlationId, code, ok: false, properties: {} })
    } else this.#connection.decoder.add(frame, (type) => this.#connection.getCompression(type))
  }

  #deliver(frame: Buffer): void {
    const second = frame.readUInt16BE(6) >= 2
    const committed = second ? frame.readBigUInt64BE(9) : 0n
    this.events.deliver(frame[8]!, committed, frame.subarray(second ? 17 : 9))
  }
}

function stringAt(frame: Buffer, at: number): string {
  return frame.toString('utf8', at + 2, at + 2 + frame.readUInt16BE(at))
}
