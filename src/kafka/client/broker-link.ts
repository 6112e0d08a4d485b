import { addressText } from '../../model/address.js'
import { type Address, type Connector, ownRequest, type RequestName, request, speaks, type Wire } from './driver.js'
import { connectionError } from './failures.js'
import {
  type EpochEnd,
  type EpochQuestion,
  epochEndsRequest,
  epochEndsVersion,
  readEpochEnds,
} from './leader-epochs.js'
import type { KafkaSettings } from './options.js'
import { noEpoch, readTopic, type TopicMetadata, topicRequest, topicVersion } from './topic-metadata.js'

/** The Fetch version whose layout fetch.ts reads; brokers have it since Kafka 2.3. KIP-392. */
const fetchVersion = 11

/** Isolation levels of Fetch and ListOffsets: everything up to the head, or what is committed. KIP-98. */
export const everything = 0
export const committed = 1

/** A fetch of one or more partitions of a topic. */
export interface FetchRequest {
  readonly maxWaitMs: number
  readonly maxBytes: number
  /** Where the reader stands, for brokers that name a nearer replica; empty to be answered by the leader. */
  readonly rackId: string
  readonly partitions: readonly FetchedFrom[]
}

interface FetchedFrom {
  readonly partition: number
  readonly from: bigint
  readonly maxBytes: number
  /** The leader's epoch, as far as it is known: a broker with another one refuses. KIP-320. */
  readonly leaderEpoch?: number
}

/** What kafkajs tells of a topic. */
export interface ClusterMetadata {
  readonly brokers: readonly (Address & { readonly nodeId: number })[]
  readonly topicMetadata: readonly {
    readonly topicErrorCode: number
    readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number }[]
  }[]
}

export interface ListedOffset {
  readonly partition: number
  readonly errorCode: number
  readonly offset: bigint
  /** Of the message at the offset, ms since 1970, where a time was asked for; else -1. */
  readonly timestamp: number
}

/** One socket to one broker. */
export class BrokerLink {
  #closed = false

  private constructor(
    private readonly wire: Wire,
    private readonly settings: KafkaSettings,
    private readonly name: string,
  ) {}

  /**
   * Connects and authenticates. Rejects when that takes more than twice the connection timeout, or when `signal` aborts.
   *
   * @throws what kafkajs says
   */
  static async open(connector: Connector, address: Address, signal: AbortSignal): Promise<BrokerLink> {
    const { settings } = connector
    const name = addressText(address)
    const link = new BrokerLink(await connector.wire(address), settings, name)
    signal.throwIfAborted()
    const most = settings.connectionTimeoutMs * 2
    const connected = link.wire.broker.connect()
    // kafkajs does not notice when a connection breaks in the middle of a login, so the end is set here.
    connected.catch(() => {})
    const { promise: refused, reject } = withReject()
    const onAbort = () => reject(signal.reason)
    const timer = setTimeout(() => reject(new Error(`${name} did not answer within ${most} ms`)), most)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([connected, refused])
      signal.throwIfAborted()
      return link
    } catch (error) {
      await link.close()
      throw signal.aborted ? error : connectionError(error, name, settings)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** True also when the broker has closed the connection. */
  get closed(): boolean {
    return this.#closed || !this.wire.connection.isConnected()
  }

  /** The raw body of a Fetch response, behind its header. */
  async fetch(topic: string, { maxWaitMs, maxBytes, rackId, partitions }: FetchRequest): Promise<Buffer> {
    const { request: fetch } = request(this.wire, 'Fetch', {
      replicaId: -1,
      maxWaitTime: maxWaitMs,
      minBytes: 1,
      maxBytes,
      isolationLevel: this.settings.readUncommitted ? everything : committed,
      rackId,
      topics: [
        {
          topic,
          partitions: partitions.map(({ partition, from, maxBytes, leaderEpoch = noEpoch }) => ({
            partition,
            currentLeaderEpoch: leaderEpoch,
            fetchOffset: String(from),
            maxBytes,
          })),
        },
      ],
    })
    if (fetch.apiVersion !== fetchVersion)
      throw new Error(
        `the broker speaks version ${fetch.apiVersion} of Fetch; Tidemark needs version ${fetchVersion} (Kafka 2.3 or newer)`,
      )
    const { raw } = await this.#send<{ raw: Buffer }>(
      fetch,
      // The response begins with the time to stay silent; kafkajs holds the next request back for so long. KIP-219.
      async (raw) => ({ raw, clientSideThrottleTime: raw.readInt32BE(0) }),
      maxWaitMs + this.settings.requestTimeoutMs,
    )
    return raw
  }

  /** Brokers and partitions, with every error code as it is. */
  metadata(topic: string): Promise<ClusterMetadata> {
    const { request: metadata, response } = request(this.wire, 'Metadata', {
      topics: [topic],
      allowAutoTopicCreation: false,
    })
    return this.#send(metadata, response.decode)
  }

  /** A topic and its leaders. The topic's id is null, and all epochs are unknown, where the broker is too old for them. */
  async topic(topic: string): Promise<TopicMetadata> {
    if (speaks(this.wire, 'Metadata', topicVersion)) {
      const metadata = ownRequest('Metadata', topicVersion, topicRequest(topic))
      return this.#send<TopicMetadata>(metadata, async (raw) => readTopic(raw))
    }
    const { brokers, topicMetadata } = await this.metadata(topic)
    const { topicErrorCode, partitionMetadata } = topicMetadata[0]!
    const partitions = partitionMetadata.map(({ partitionId, leader }) => ({
      partition: partitionId,
      leader,
      epoch: noEpoch,
    }))
    return { errorCode: topicErrorCode, id: null, brokers, partitions }
  }

  /** Where epochs end in the logs that the broker leads; null where the broker is too old to say. */
  async epochEnds(topic: string, questions: readonly EpochQuestion[]): Promise<EpochEnd[] | null> {
    if (!speaks(this.wire, 'OffsetForLeaderEpoch', epochEndsVersion)) return null
    const ends = ownRequest('OffsetForLeaderEpoch', epochEndsVersion, epochEndsRequest(topic, questions))
    return this.#send<EpochEnd[]>(ends, async (raw) => readEpochEnds(raw))
  }

  /** Offsets by time: -2 the first, -1 the head, otherwise the first at or after that time (-1 when there is none). */
  async listOffsets(
    topic: string,
    isolationLevel: typeof everything | typeof committed,
    partitions: readonly { partition: number; timestamp: number }[],
  ): Promise<ListedOffset[]> {
    const { request: list, response } = request(this.wire, 'ListOffsets', {
      isolationLevel,
      topics: [{ topic, partitions }],
    })
    type Listed = { partition: number; errorCode: number; offset: string; timestamp: string }
    const { responses } = await this.#send<{ responses: { partitions: Listed[] }[] }>(list, response.decode)
    return responses.flatMap(({ partitions }) =>
      partitions.map((listed) => ({ ...listed, offset: BigInt(listed.offset), timestamp: Number(listed.timestamp) })),
    )
  }

  /** Asks anything else that both sides know a version of. Error codes in the answer are the caller's to read. */
  ask<T>(apiKey: number, definition: unknown, args: object): Promise<T> {
    const { request, response } = this.wire.broker.lookupRequest(apiKey, definition)(args)
    return this.#send<T>(request, response.decode)
  }

  /** The same of what kafkajs has encoders for, in the newest version that both sides know. */
  call<T>(name: RequestName, args: object): Promise<T> {
    const { request: called, response } = request(this.wire, name, args)
    return this.#send<T>(called, response.decode)
  }

  /** Ends the socket and rejects what is in flight. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    const { connection } = this.wire
    const connecting = !connection.isConnected()
    connection.rejectRequests(new Error(`the connection to ${this.name} was closed`))
    await connection.disconnect().catch(() => {})
    // A broker that holds a long poll would keep a socket that was only half closed. Only an error ends kafkajs's waiting
    // for a connection, with its timer.
    connection.socket?.destroy(connecting ? new Error('closed') : undefined)
  }

  async #send<T>(
    request: object,
    decode: (raw: Buffer) => Promise<unknown>,
    requestTimeout: number = this.settings.requestTimeoutMs,
  ): Promise<T> {
    // kafkajs would connect again, and that nobody would close.
    if (this.closed) throw new Error(`the connection to ${this.name} was closed`)
    return (await this.wire.pool.send({
      request,
      requestTimeout,
      // `parse` would throw at the first partition's error and hide the other partitions.
      response: { decode, parse: async (decoded: unknown) => decoded },
    })) as T
  }
}

function withReject(): { promise: Promise<never>; reject: (error: unknown) => void } {
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<never>((_, refuse) => {
    reject = refuse
  })
  promise.catch(() => {})
  return { promise, reject }
}
