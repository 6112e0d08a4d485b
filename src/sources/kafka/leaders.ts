import { TidemarkError } from '../../model/errors.js'
import type { TopicMetadata } from './broker-link.js'
import type { Address } from './driver.js'
import { codeError, kafkaError } from './failures.js'
import type { LinkPool } from './link-pool.js'
import type { KafkaSettings } from './options.js'

export interface BrokerAddress extends Address {
  readonly nodeId: number
}

interface Topic {
  readonly partitions: readonly number[]
  readonly leaders: ReadonlyMap<number, BrokerAddress>
  readonly brokers: ReadonlyMap<number, BrokerAddress>
}

/** Knows which broker leads each partition of a topic. Callers that find out otherwise ask it to look again. */
export class Leaders {
  #known: Topic | null = null
  #looking: Promise<Topic> | null = null

  constructor(
    private readonly links: LinkPool,
    private readonly settings: KafkaSettings,
  ) {}

  /**
   * Asks the cluster. Concurrent calls share one request.
   *
   * @throws TidemarkError STREAM_NOT_FOUND, UNREACHABLE or AUTH_FAILED
   */
  refresh(): Promise<Topic> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  /** The leader as last known, or null while an election is under way. */
  async of(partition: number): Promise<BrokerAddress | null> {
    const topic = this.#known ?? (await this.refresh())
    return topic.leaders.get(partition) ?? null
  }

  /** Whether the topic had such a partition when the cluster was last asked. */
  has(partition: number): boolean {
    return this.#known?.partitions.includes(partition) ?? false
  }

  /** Any broker of the cluster, as last known. */
  broker(nodeId: number): BrokerAddress | null {
    return this.#known?.brokers.get(nodeId) ?? null
  }

  async #look(): Promise<Topic> {
    const { brokers, topicMetadata } = await this.#ask()
    const { topicErrorCode, partitionMetadata } = topicMetadata[0]!
    if (topicErrorCode !== 0) throw codeError(topicErrorCode, this.settings)
    const addresses = new Map(brokers.map((broker) => [broker.nodeId, broker]))
    const leaders = new Map<number, BrokerAddress>()
    for (const { partitionId, leader } of partitionMetadata) {
      const address = addresses.get(leader)
      if (address) leaders.set(partitionId, address)
    }
    const partitions = partitionMetadata.map(({ partitionId }) => partitionId).sort((a, b) => a - b)
    this.#known = { partitions, leaders, brokers: addresses }
    return this.#known
  }

  /** The first answer there is, from the brokers known or else from those of the config. */
  async #ask(): Promise<TopicMetadata> {
    const addresses = new Map<string, Address>()
    for (const address of this.#known?.brokers.values() ?? []) addresses.set(`${address.host}:${address.port}`, address)
    for (const broker of this.settings.brokers) {
      const at = broker.lastIndexOf(':')
      if (!addresses.has(broker))
        addresses.set(broker, { host: broker.slice(0, at), port: Number(broker.slice(at + 1)) })
    }
    let failure: TidemarkError | null = null
    for (const address of addresses.values()) {
      try {
        return await this.links.use(address, (link) => link.metadata(this.settings.topic))
      } catch (error) {
        failure = kafkaError(error, this.settings)
        // The next broker would refuse the same login.
        if (failure.code === 'AUTH_FAILED' || this.links.signal.aborted) break
      }
    }
    throw failure ?? new TidemarkError('UNREACHABLE', 'the source was closed')
  }
}
