import { Brokers } from './brokers.js'
import type { BrokerAddress } from './driver.js'
import { codeError } from './failures.js'
import type { Links } from './link-pool.js'
import type { KafkaSettings } from './options.js'
import { noEpoch } from './topic-metadata.js'

interface Topic {
  readonly partitions: readonly number[]
  readonly epochs: ReadonlyMap<number, number>
  readonly leaders: ReadonlyMap<number, BrokerAddress>
  readonly brokers: ReadonlyMap<number, BrokerAddress>
}

/** Knows which broker leads each partition of a topic. Callers that find out otherwise ask it to look again. */
export class Leaders {
  #known: Topic | null = null
  #looking: Promise<Topic> | null = null
  /** Where any of them can be asked. */
  readonly brokers: Brokers

  constructor(
    links: Links,
    private readonly settings: KafkaSettings,
  ) {
    this.brokers = new Brokers(links, settings)
  }

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

  /** The epoch of that leader; -1 where the cluster does not say. */
  epochOf(partition: number): number {
    return this.#known?.epochs.get(partition) ?? noEpoch
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
    const { errorCode, brokers, partitions } = await this.brokers.ask((link) => link.topic(this.settings.topic))
    if (errorCode !== 0) throw codeError(errorCode, this.settings)
    const addresses = new Map(brokers.map((broker) => [broker.nodeId, broker]))
    const leaders = new Map<number, BrokerAddress>()
    for (const { partition, leader } of partitions) {
      const address = addresses.get(leader)
      if (address) leaders.set(partition, address)
    }
    this.#known = {
      partitions: partitions.map(({ partition }) => partition).sort((a, b) => a - b),
      leaders,
      epochs: new Map(partitions.map(({ partition, epoch }) => [partition, epoch])),
      brokers: addresses,
    }
    this.brokers.know(brokers)
    return this.#known
  }
}
