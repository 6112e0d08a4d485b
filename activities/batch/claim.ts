import type { PartitionBatch } from '../../src/model/batch.js'
import { isTidemarkError } from '../../src/model/errors.js'
import type { PartitionKey } from '../../src/model/partition.js'
import { type FencingToken, isSameWriter } from '../../src/model/token.js'
import type { Claimed, ProgressLog } from '../../src/ports/index.js'

/** One run's claim of its partition. */
export class Claim {
  #asked = false

  /** Claims the partition. A claim of this run whose answer was lost counts: nobody else has its token. */
  async of(
    progress: ProgressLog,
    key: PartitionKey,
    token: FencingToken,
    { from, replay }: Pick<PartitionBatch, 'from' | 'replay'>,
  ): Promise<Claimed> {
    const repeated = this.#asked
    this.#asked = true
    try {
      return await progress.claim(key, token, { from: BigInt(from), replay })
    } catch (error) {
      const claimed = repeated && isTidemarkError(error) && error.effect === 'lost' ? await progress.read(key) : null
      if (!claimed || !isSameWriter(claimed.token, token)) throw error
      return claimed
    }
  }
}
