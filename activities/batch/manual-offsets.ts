import type { PartitionBatch } from '../../src/model/batch.js'
import type { PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import { StoredOffsets } from '../committing/stored-offsets.js'
import type { ConsumerRuntime } from '../runtime.js'

/** What handlers have stored of each partition, under the commit strategy `manual`. It outlives batches. */
export class ManualOffsets {
  readonly #stored = new Map<number, StoredOffsets>()

  constructor(private readonly runtime: ConsumerRuntime) {}

  /**
   * What the handler has stored of a partition so far; undefined under other strategies. Where another worker was in between, reading
   * begins at what is stored.
   */
  take(
    key: PartitionKey,
    token: FencingToken,
    { replay, from }: PartitionBatch,
    claimed: bigint,
  ): StoredOffsets | undefined {
    if (this.runtime.settings.commit.after !== 'manual') return undefined
    const owner = { key, token, replay }
    const old = this.#stored.get(key.partition)
    const stored = old?.followedBy(replay, BigInt(from), claimed)
      ? old
      : new StoredOffsets(this.runtime, owner, claimed)
    stored.handOver(owner)
    this.#stored.set(key.partition, stored)
    return stored
  }

  /** Returns what is forgotten. */
  forget({ partition }: PartitionKey): StoredOffsets | undefined {
    const stored = this.#stored.get(partition)
    this.#stored.delete(partition)
    return stored
  }
}
