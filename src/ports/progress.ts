import type { PartitionKey } from '../model/partition.js'
import type { FencingToken } from '../model/token.js'
import type { ConnectContext } from './context.js'
import type { GroupRecords } from './groups.js'
import type { HistoryEntry, OffsetChange, OffsetFilter, StoredOffset } from './offsets.js'
import type { OutputRecord } from './record.js'

/* Progress lives in the database that handlers write to, so that it moves in the same transaction. */

/** A database that handlers write to. Progress rows live there, so that effects and progress are one transaction. */
export interface Database {
  readonly kind: string
  /** What people see of it: host, port, database. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  connect(context: ConnectContext): Promise<DatabaseClient>
}

export interface DatabaseClient {
  readonly progress: ProgressLog
  /** The groups' records. Only those in the store's own database count. */
  readonly groups: GroupRecords
  /** The history of groups and positions. `add` is for stores that keep their offsets elsewhere. */
  readonly changes: {
    add(change: Omit<OffsetChange, 'at'>): Promise<void>
    /** Newest first. A filter by partition includes what was done to the whole group. */
    list(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]>
  }
  /** Partitions as they were when they were last opened or reset, for stores that can't list them, and lose them with the stream. */
  readonly partitions: {
    /** An identity of null leaves the one that is there. */
    note(partition: NotedPartition): Promise<void>
    list(filter: OffsetFilter): Promise<readonly NotedPartition[]>
  }
  close(): Promise<void>
}

export type NotedPartition = Omit<StoredOffset, 'updatedAt'>

export interface Progress {
  readonly position: bigint
  readonly token: FencingToken
  readonly replay: number
}

/** The fence: whoever holds the greatest token may move a partition's progress, nobody else. */
export interface ProgressLog {
  read(key: PartitionKey): Promise<Progress | null>
  /**
   * Makes `token` the partition's owner and returns the position to go on from: the stored one; or `from` where there is
   * none, or where the stored one belongs to an older replay. Ends what an older owner still has open in the database.
   * Throws FENCED when an equal or greater token has claimed already, or a greater one was raised.
   */
  claim(key: PartitionKey, token: FencingToken, start: { from: bigint; replay: number }): Promise<bigint>
  /**
   * Makes sure that no writer with a smaller token than `token` can move the partition's progress any more, and ends what such
   * a writer has open in the database. That includes writers that have not claimed yet. Creates no position, and is no claim:
   * the writer with `token` itself may still claim. Does nothing where a greater or equal token has claimed. Never throws FENCED.
   */
  raise(key: PartitionKey, token: FencingToken): Promise<void>
  /** Moves progress from `from` to `to`, for handlers without a transaction. Throws FENCED. */
  advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint): Promise<void>
  /**
   * Runs `work` and moves progress in one transaction: both happen or neither. Throws FENCED (and rolls back) when the token
   * is no longer the greatest; rethrows what `work` throws, after rolling back.
   *
   * @param to a function is asked when `work` is done, where the handler decides it
   */
  transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: Transaction) => Promise<void>,
  ): Promise<void>
  /** Absent where progress lives in no database. */
  readonly inbox?: Inbox
  readonly outbox?: Outbox
}

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

/** Writes events to event streams in the same database, as part of the handler's transaction. */
export interface Outbox {
  /** Throws STREAM_NOT_FOUND; CONFIG_INVALID for an event that JSON can't say. */
  append(tx: Transaction, stream: string, events: readonly NewEvent[]): Promise<void>
}

/** An event on its way into a stream. */
export interface NewEvent {
  /** Events of one key keep their order: they share a partition. Without a key, any partition. */
  readonly key?: string | null
  /** Anything that JSON can say. */
  readonly value: unknown
  /** Reaches consumers as the header `type`. */
  readonly type?: string | null
  readonly headers?: Readonly<Record<string, string | null>>
}

/** An open SQL transaction. Committing and rolling back are Tidemark's. */
export interface Transaction {
  query<R extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>
  /** The driver's own client (`pg.ClientBase`), for query builders and ORMs. */
  readonly client: unknown
  /** Writes messages as part of the transaction, where it is one of an output's own log. */
  readonly send?: (records: readonly OutputRecord[]) => Promise<void>
}
