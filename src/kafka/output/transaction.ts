import type { PartitionKey } from '../../model/partition.js'
import type { OutputRecord } from '../../ports/index.js'
import { producerMeaningOf } from '../client/error-codes.js'
import type { ProducerIdentity } from './batch.js'
import { type Cluster, type Coordinated, Refused } from './cluster.js'
import { batchesOf, DeliveryFailed, deliver, Sequences } from './deliver.js'
import { groupBy } from './group-by.js'
import type { Placer } from './place.js'
import { addOffsets, addPartitions, commitOffset, endTransaction, initProducerId } from './protocol.js'

/** A position to be stored as a group's offset, with a note beside it. */
export interface StoredPosition {
  readonly group: string
  readonly key: PartitionKey
  readonly position: bigint
  readonly note: string
}

/**
 * The one producer of a transactional id: brokers refuse an older one from the moment that a newer one has begun. It has no
 * connection of its own, so a worker may have thousands. Not for concurrent use.
 */
export class TransactionalProducer {
  readonly #sequences = new Sequences()
  readonly #partitions = new Set<string>()
  #offsets = false
  #broken = false
  #doubtful = false
  readonly #lost = {
    lost: () => {
      this.#doubtful = true
    },
  }

  private constructor(
    private readonly cluster: Cluster,
    private readonly placer: Placer,
    private readonly identity: ProducerIdentity,
    private readonly coordinator: Coordinated,
  ) {}

  /**
   * Begins a newer producer of that id. What an older one had open is aborted; when this returns, whatever it had committed can
   * be read.
   */
  static async begin(cluster: Cluster, placer: Placer, transactionalId: string): Promise<TransactionalProducer> {
    const coordinator: Coordinated = { kind: 'transaction', id: transactionalId }
    const { transactionTimeoutMs: timeoutMs, deliveryTimeoutMs } = cluster.settings
    // As long as a coordinator may take to end what an older one left behind.
    const withinMs = Math.max(deliveryTimeoutMs, timeoutMs)
    const { producerId, producerEpoch } = await cluster.coordinate(
      coordinator,
      initProducerId,
      { transactionalId, timeoutMs },
      { withinMs },
    )
    return new TransactionalProducer(cluster, placer, { transactionalId, producerId, producerEpoch }, coordinator)
  }

  /** True when nobody knows any more how far this producer has come: a newer one has to begin. */
  get broken(): boolean {
    return this.#broken
  }

  /** True when a request of an earlier transaction may still be on its way. */
  get doubtful(): boolean {
    return this.#doubtful
  }

  /** Writes into the open transaction, which the first write opens. */
  async send(records: readonly OutputRecord[]): Promise<void> {
    const placed = await this.placer.place(records)
    const batches = batchesOf(placed)
    const added = [...groupBy(batches, ({ topic, partition }) => `${topic} ${partition}`)].filter(
      ([name]) => !this.#partitions.has(name),
    )
    await this.#step(async () => {
      if (added.length > 0) {
        // They are in the transaction also when the answer gets lost.
        for (const [name] of added) this.#partitions.add(name)
        const partitions = added.map(([, [batch]]) => ({ topic: batch!.topic, partition: batch!.partition }))
        await this.cluster.coordinate(this.coordinator, addPartitions, { ...this.identity, partitions }, this.#lost)
      }
      const failed = await deliver(this.cluster, this.identity, this.#sequences, batches)
      for (const error of failed.values()) throw error
    })
  }

  /** Makes a position part of the open transaction. */
  async store({ group, key, position, note }: StoredPosition): Promise<void> {
    await this.#step(async () => {
      this.#offsets = true
      await this.cluster.coordinate(this.coordinator, addOffsets, { ...this.identity, group }, this.#lost)
      const { stream: topic, partition } = key
      const args = { ...this.identity, group, topic, partition, offset: position, metadata: note }
      await this.cluster.coordinate({ kind: 'group', id: group }, commitOffset, args, this.#lost)
    })
  }

  commit(): Promise<void> {
    return this.#end(true)
  }

  /** Never throws: what can't be aborted now, the coordinator or the next producer aborts. */
  async abort(): Promise<void> {
    await this.#end(false).catch(() => {})
  }

  async #end(commit: boolean): Promise<void> {
    if (this.#partitions.size === 0 && !this.#offsets) return
    await this.#step(() =>
      this.cluster.coordinate(this.coordinator, endTransaction, { ...this.identity, commit }, this.#lost),
    )
    this.#partitions.clear()
    this.#offsets = false
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#broken = true
      throw error
    }
  }
}

/** Whether an error says that a newer producer of the same id has begun. */
export function saysFenced(error: unknown): boolean {
  return error instanceof Refused
    ? producerMeaningOf(error.code) === 'fenced'
    : error instanceof DeliveryFailed && error.fenced
}

/** The same, in the words of a coordinator that is asked while the newer one begins: the transaction is in no state for it. */
export function saysOutdone(error: unknown): boolean {
  return saysFenced(error) || (error instanceof Refused && producerMeaningOf(error.code) === 'broken')
}
