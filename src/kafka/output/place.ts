import { isTidemarkError, messageOf, TidemarkError } from '../../model/errors.js'
import type { OutputRecord } from '../../ports/index.js'
import { pause } from '../../reading/backoff.js'
import { kafkajs } from '../client/kafkajs.js'
import type { Cluster } from './cluster.js'
import type { Placed } from './deliver.js'

type Partitioner = ReturnType<typeof kafkajs.Partitioners.DefaultPartitioner>
type Partitions = Parameters<Partitioner>[0]['partitionMetadata']

/** Partitions that are added to a topic are used after so long, ms. */
const lookAgainAfter = 5 * 60_000

/** Finds each record's partition: the one it names, else by its key as Kafka's Java client does, else in turn. */
export class Placer {
  readonly #partitioner: Partitioner = kafkajs.Partitioners.DefaultPartitioner()
  readonly #known = new Map<string, { readonly partitions: Partitions; readonly until: number }>()

  constructor(private readonly cluster: Cluster) {}

  /** @throws TidemarkError OUTPUT_FAILED, naming the topic, when it does not exist or can't be asked for */
  async place(records: readonly OutputRecord[]): Promise<Placed[]> {
    const topics = new Map<string, Partitions>()
    for (const { topic } of records) if (!topics.has(topic)) topics.set(topic, await this.#partitions(topic))
    return records.map((record) => {
      const { topic, key, value, partition } = record
      const partitionMetadata = topics.get(topic)!
      if (partition === undefined)
        return { record, partition: this.#partitioner({ topic, partitionMetadata, message: { key, value } }) }
      if (partitionMetadata.some(({ partitionId }) => partitionId === partition)) return { record, partition }
      throw new TidemarkError(
        'OUTPUT_FAILED',
        `output topic '${topic}' has no partition ${partition}, it has ${partitionMetadata.length}`,
        { place: { stream: topic, partition } },
      )
    })
  }

  async #partitions(topic: string): Promise<Partitions> {
    const known = this.#known.get(topic)
    if (known && known.until > performance.now()) return known.partitions
    const until = performance.now() + this.cluster.settings.deliveryTimeoutMs
    for (let tries = 1; ; tries++) {
      try {
        const found = await this.cluster.leaders(topic).refresh()
        const partitions = found.partitions.map((partitionId) => ({ partitionId, leader: 0 }) as Partitions[number])
        this.#known.set(topic, { partitions, until: performance.now() + lookAgainAfter })
        return partitions
      } catch (error) {
        const passes = isTidemarkError(error) && error.code === 'UNREACHABLE'
        if (!passes || performance.now() > until || this.cluster.signal.aborted)
          throw new TidemarkError('OUTPUT_FAILED', `could not write to output topic '${topic}': ${messageOf(error)}`, {
            place: { stream: topic },
            ...(isTidemarkError(error) && { cause: error }),
          })
      }
      await pause(tries, this.cluster.signal)
    }
  }
}
