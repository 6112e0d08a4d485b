import type { StartSpec } from '../../model/start.js'
import type { Bounds, ConnectContext, Log, Reader, ReadOptions, Source, SourceClient } from '../../ports.js'
import { codecOf, json, type ValueCodec } from '../value.js'
import { type Cluster, createCluster } from './driver.js'
import { kafkaError, Leaders } from './leaders.js'
import { Offsets } from './offsets.js'
import { type KafkaOptions, type KafkaSettings, parseKafka } from './options.js'
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
  const codec = codecOf(options.value ?? (json() as ValueCodec<V>))
  const { brokers, topic, readUncommitted, ssl, sasl } = settings
  return {
    kind: 'kafka',
    stream: topic,
    describe: {
      brokers,
      topic,
      value: codec.name,
      readUncommitted,
      tls: ssl !== undefined && ssl !== false,
      sasl: sasl?.mechanism ?? null,
    },
    connect: async ({ log }: ConnectContext) => {
      const cluster = createCluster(settings, log)
      const leaders = new Leaders(cluster, settings)
      try {
        await cluster.connect()
        await leaders.refresh()
      } catch (error) {
        await cluster.disconnect().catch(() => {})
        throw kafkaError(error, settings)
      }
      return new KafkaClient(cluster, leaders, settings, codec, log)
    },
  }
}

class KafkaClient<V> implements SourceClient<V> {
  readonly #offsets: Offsets
  readonly #watcher: Watcher

  constructor(
    private readonly cluster: Cluster,
    private readonly leaders: Leaders,
    private readonly settings: KafkaSettings,
    private readonly codec: ValueCodec<V>,
    private readonly log: Log,
  ) {
    this.#offsets = new Offsets(cluster, leaders, settings)
    this.#watcher = new Watcher(cluster, leaders, this.#offsets, settings, log)
  }

  async partitions(): Promise<readonly number[]> {
    return (await this.leaders.refresh()).partitions
  }

  bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    return this.#offsets.bounds(partitions)
  }

  resolve(partition: number, start: StartSpec): Promise<bigint> {
    return this.#offsets.resolve(partition, start)
  }

  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#watcher.wait(partition, position, signal)
  }

  read(from: bigint, options: ReadOptions): Reader<V> {
    const link = new PartitionLink(this.cluster, this.leaders, this.settings, options.key.partition)
    return new KafkaReader(from, options, link, this.codec, this.log)
  }

  async close(): Promise<void> {
    await this.#watcher.close()
    await this.#offsets.close()
    await this.cluster.disconnect().catch(() => {})
  }
}
