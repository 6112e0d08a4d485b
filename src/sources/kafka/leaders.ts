import { messageOf, TidemarkError } from '../../model/errors.js'
import { type BrokerAddress, type Cluster, failureType } from './driver.js'
import type { KafkaSettings } from './options.js'

interface Topic {
  readonly partitions: readonly number[]
  readonly leaders: ReadonlyMap<number, BrokerAddress>
}

/** Knows which broker leads each partition of a topic. Callers that find out otherwise ask it to look again. */
export class Leaders {
  #known: Topic | null = null
  #looking: Promise<Topic> | null = null

  constructor(
    private readonly cluster: Cluster,
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

  async #look(): Promise<Topic> {
    const { topic } = this.settings
    try {
      const { brokers, topicMetadata } = await this.cluster.metadata({ topics: [topic] })
      const addresses = new Map(brokers.map((broker) => [broker.nodeId, broker]))
      const { partitionMetadata } = topicMetadata[0]!
      const leaders = new Map<number, BrokerAddress>()
      for (const { partitionId, leader } of partitionMetadata) {
        const address = addresses.get(leader)
        if (address) leaders.set(partitionId, address)
      }
      const partitions = partitionMetadata.map(({ partitionId }) => partitionId).sort((a, b) => a - b)
      this.#known = { partitions, leaders }
      return this.#known
    } catch (error) {
      throw kafkaError(error, this.settings)
    }
  }
}

/** What a failed connection or request to the cluster means for a person. */
export function kafkaError(error: unknown, { brokers, topic, sasl }: KafkaSettings): TidemarkError {
  if (error instanceof TidemarkError) return error
  const where = `Kafka at ${brokers.join(', ')}`
  const type = failureType(error)
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'INVALID_TOPIC_EXCEPTION')
    return new TidemarkError(
      'STREAM_NOT_FOUND',
      `${where} has no topic '${topic}': create it (kafka-topics.sh --create --topic ${topic}), or correct 'topic' in the config`,
      { cause: error, place: { stream: topic } },
    )
  if (/SASL|AUTHENTICATION|AUTHORIZATION/i.test(type))
    return new TidemarkError(
      'AUTH_FAILED',
      `${where} refused${sasl ? ` the ${sasl.mechanism} login` : ''}: check 'sasl' and 'ssl' in the config, and the right to read topic '${topic}'`,
      { cause: error, place: { stream: topic } },
    )
  return new TidemarkError(
    'UNREACHABLE',
    `${where} can't be reached: is it running, and are 'brokers' right? (${messageOf(error)})`,
    {
      cause: error,
    },
  )
}
