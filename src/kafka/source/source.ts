import type { StartSpec } from '../../model/start.js'
import type {
  Bounds,
  Chunk,
  ConnectContext,
  Log,
  RawMessage,
  Reader,
  ReadOptions,
  Source,
  SourceClient,
} from '../../ports/index.js'
import { connected } from '../../reading/connected.js'
import { type Decoding, decodingFor, decodingOf } from '../../reading/late-value.js'
import type { Origin } from '../../reading/message.js'
import { restored } from '../../reading/restored.js'
import { Connector } from '../client/driver.js'
import { codeError } from '../client/failures.js'
import { Leaders } from '../client/leaders.js'
import { LinkPool } from '../client/link-pool.js'
import { type KafkaOptions, noted, parseKafka } from '../client/options.js'
import { SharedLinks } from '../client/shared-links.js'
import { GroupOffsets } from '../store/group-offsets.js'
import { Epochs } from './epochs.js'
import { FetchLinks } from './fetch-links.js'
import { Offsets } from './offsets.js'
import { PartitionLink } from './partition-link.js'
import { KafkaReader } from './reader.js'
import { Watcher } from './watcher.js'

/**
 * A Kafka topic as a stream. Opens nothing: a worker does.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function kafka<V = unknown>(options: KafkaOptions<V>): Source<V> {
  const settings = parseKafka(options)
  const decoding = decodingOf(options.value, settings)
  const { brokers, topic, readUncommitted, ssl, sasl } = settings
  return noted<Source<V>>(
    {
      kind: 'kafka',
      stream: topic,
      decoding,
      describe: {
        brokers,
        topic,
        value: decoding.codec.name,
        readUncommitted,
        tls: ssl !== undefined && ssl !== false,
        sasl: sasl?.mechanism ?? null,
      },
      connect: ({ log, signal, values }: ConnectContext) =>
        connected(new KafkaClient(new Connector(settings, log), decodingFor(values, decoding), log), signal, (client) =>
          client.partitions(),
        ),
    },
    settings,
  )
}

class KafkaClient<V> implements SourceClient<V> {
  /** For questions, for the watcher's long polls, and for the readers. */
  readonly #links: SharedLinks
  readonly #polls: LinkPool
  readonly #fetches: FetchLinks
  readonly #leaders: Leaders
  readonly #offsets: Offsets
  readonly #epochs: Epochs
  readonly #watcher: Watcher
  readonly #readers = new Set<KafkaReader<V>>()
  #identity: Promise<string | null> | null = null
  readonly groupOffsets?: GroupOffsets

  constructor(
    private readonly connector: Connector,
    private readonly decoding: Decoding<V>,
    private readonly log: Log,
  ) {
    const { settings } = connector
    this.#links = new SharedLinks(connector)
    this.#polls = new LinkPool(connector)
    this.#fetches = new FetchLinks(connector, log)
    this.#leaders = new Leaders(this.#links, settings)
    this.#offsets = new Offsets(this.#links, this.#leaders, settings)
    this.#epochs = new Epochs(this.#links, settings)
    this.#watcher = new Watcher(this.#polls, this.#leaders, this.#offsets, settings, log)
    if (settings.groupOffsets) this.groupOffsets = GroupOffsets.over(this.#links, this.#leaders.brokers, settings)
  }

  async partitions(): Promise<readonly number[]> {
    return (await this.#leaders.refresh()).partitions
  }

  bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    return this.#offsets.bounds(partitions)
  }

  firstTimes(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    return this.#offsets.firstTimes(partitions)
  }

  resolve(partition: number, start: StartSpec): Promise<bigint> {
    return this.#offsets.resolve(partition, start)
  }

  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#watcher.wait(partition, position, signal)
  }

  /** The topic's id (KIP-516); null of a broker before Kafka 2.8. Throws STREAM_NOT_FOUND, UNREACHABLE or AUTH_FAILED. */
  identity(): Promise<string | null> {
    // One question for all partitions that are asked about together.
    this.#identity ??= this.#topicId().finally(() => {
      this.#identity = null
    })
    return this.#identity
  }

  async #topicId(): Promise<string | null> {
    const { settings } = this.connector
    const { errorCode, id } = await this.#leaders.brokers.ask((link) => link.topic(settings.topic))
    if (id === null && errorCode !== 0) throw codeError(errorCode, settings)
    return id
  }

  read(from: bigint, options: ReadOptions): Reader<V> {
    const link = new PartitionLink(this.#fetches, this.#leaders, this.#offsets, this.#epochs, options.key.partition)
    const closed = (reader: KafkaReader<V>) => this.#readers.delete(reader)
    const reader = new KafkaReader(from, options, link, this.decoding, this.log, closed, () => this.identity())
    if (!options.signal.aborted) this.#readers.add(reader)
    return reader
  }

  restore(raw: RawMessage, origin: Origin): Chunk<V> {
    return restored(raw, origin, this.decoding)
  }

  async close(): Promise<void> {
    this.#watcher.close()
    await Promise.all([...this.#readers].map((reader) => reader.close()))
    await Promise.all([this.#links.close(), this.#polls.close(), this.#fetches.close()])
  }
}
