import type { PartitionKey } from '../model/partition.js'
import type { Transaction } from './transaction.js'

/** Remembers keys of messages, so that one that comes again, at another offset or in another partition, can be told. */
export interface Inbox {
  /**
   * Puts keys in, as part of the handler's transaction, and returns the indexes of those that were there already. A key that
   * this partition put in during an older replay, from where this replay began, counts as new: it is to be handled again.
   * Waits for transactions of other partitions that are putting in one of the keys.
   *
   * @param arrivals no key twice
   * @param retentionMs how long the keys are remembered at least
   */
  admit(
    tx: Transaction,
    key: PartitionKey,
    arrivals: Arrivals,
    options: { readonly replay: number; readonly retentionMs: number },
  ): Promise<readonly number[]>
  /** Deletes up to `limit` keys, of any consumer, whose time is over; returns how many there were. */
  expire(limit: number): Promise<number>
}

/** Keys and the offsets of the messages that bring them. */
export interface Arrivals {
  readonly keys: readonly string[]
  readonly offsets: readonly bigint[]
}
