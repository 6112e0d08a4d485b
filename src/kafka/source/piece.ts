import { Lent } from '../../reading/lent.js'
import type { Fetched } from './fetcher.js'
import type { RecordBatch } from './record-batch.js'
import { type RawRecord, RecordCursor } from './records.js'

/** One fetch while it is handed out. Its loan ends when all of it was handed out and every chunk of it was given back. */
export class Piece extends Lent {
  readonly head: bigint
  /** Where the log goes on behind the fetch. */
  readonly nextOffset: bigint
  /** The leader epoch of its last batch. */
  readonly lastEpoch: number
  readonly #batches: RecordBatch[]
  #cursor: RecordCursor | null = null
  /** Where the log goes on behind the batch in hand. */
  batchEnd = 0n

  constructor(fetched: Fetched) {
    super(fetched.loan)
    this.head = fetched.head
    const last = fetched.batches.at(-1)!
    this.nextOffset = last.nextOffset
    this.lastEpoch = last.leaderEpoch
    this.#batches = fetched.batches.filter((batch) => fetched.visible.has(batch)).reverse()
  }

  /** The record that `next` has returned last. */
  get record(): RawRecord | null {
    return this.#cursor?.record ?? null
  }

  /** The next record; null behind the last one. Throws RangeError when its batch is damaged. */
  next(): RawRecord | null {
    for (;;) {
      if (this.#cursor?.next()) return this.#cursor.record
      const batch = this.#batches.pop()
      if (!batch) return null
      this.batchEnd = batch.nextOffset
      this.#cursor = new RecordCursor(batch)
    }
  }

  /** True once its last record was handed out. */
  finish(): boolean {
    if (this.#batches.length === 0 && !this.#cursor?.left) this.end()
    return this.done
  }
}
