import type { GroupName, PartitionKey } from '../model/partition.js'
import type { FencingToken } from '../model/token.js'
import type { Inbox } from './inbox.js'
import type { Outbox } from './outbox.js'
import type { OutputTransaction, Transaction } from './transaction.js'

/* How far the handlers of a partition have come. */

export interface Progress {
  readonly position: bigint
  readonly token: FencingToken
  readonly replay: number
  /** Which incarnation of the stream the position belongs to; null where that is not known. */
  readonly identity: string | null
  /** `Chunk.witness` of the chunk that ended at the position; null where it had none, or where the position was put there. */
  readonly witness: string | null
}

/** Where a replay begins. */
export type ProgressBeginning = Pick<Progress, 'position' | 'replay' | 'identity'>

/** Where a new owner goes on. */
export type Claimed = Pick<Progress, 'position' | 'witness'>

/** The fence: whoever holds the greatest token may move a partition's progress, nobody else. */
export interface ProgressLog {
  /**
   * True where this outranks the offset store: what has lost this has lost the handlers' effects with it, so that work goes on from here,
   * and stops where nothing is left. Such a log keeps what `begin` says.
   */
  readonly outranksStore: boolean
  read(key: PartitionKey): Promise<Progress | null>
  /**
   * Begins a replay, where an older one or none is known. Of the same one, only an identity that was not known is kept. Nobody owns the
   * partition by that, and who did can't move it any more.
   */
  begin(key: PartitionKey, beginning: ProgressBeginning): Promise<void>
  /**
   * Makes `token` the partition's owner and returns where to go on: at the stored position; or `from`, where the log does not keep
   * what `begin` says and has no position of the replay. Ends what an older owner still has open in the database.
   * Throws FENCED when an equal or greater token has claimed already, or a greater one was raised; POSITION_CHANGED where progress is
   * not in that replay.
   */
  claim(key: PartitionKey, token: FencingToken, start: { from: bigint; replay: number }): Promise<Claimed>
  /**
   * Makes sure that no writer with a smaller token than `token` can move the partition's progress any more, and ends what such
   * a writer has open in the database. That includes writers that have not claimed yet. Creates no position, and is no claim:
   * the writer with `token` itself may still claim. Does nothing where a greater or equal token has claimed. Never throws FENCED.
   */
  raise(key: PartitionKey, token: FencingToken): Promise<void>
  /**
   * Moves progress from `from` to `to`, for handlers without a transaction. Throws FENCED where a greater token has claimed, and
   * POSITION_CHANGED where progress is lost, set back, or another writer's of the same token.
   *
   * @param witness of the chunk that ends at `to`
   */
  advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint, witness?: string): Promise<void>
}

/** Progress that moves in transactions of the same database, or log, as the handler's effects. */
export interface TransactionalProgressLog<T> extends ProgressLog {
  /**
   * Runs `work` and moves progress in one transaction: both happen or neither. Throws FENCED and POSITION_CHANGED as
   * `advance` does, and rolls back; rethrows what `work` throws, after rolling back.
   *
   * @param to a function is asked when `work` is done, where the handler decides it
   * @param witness of the chunk that ends at `to`
   */
  transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: T) => Promise<void>,
    witness?: string,
  ): Promise<void>
}

/** Progress in a database that handlers write to. */
export interface SqlProgressLog extends TransactionalProgressLog<Transaction> {
  /** How many transactions it has connections for. Chunks beyond that would only wait, decoded. Absent where there is no bound. */
  readonly atOnce?: number
  /**
   * Opens connections in advance, so that the first chunks do not wait for them. Never rejects; it may take long where handlers hold
   * all connections.
   *
   * @param transactions that may run at the same time
   */
  prepare?(transactions: number): Promise<void>
  /** Forgets how far a group has come in all partitions of a stream. Writers that are still there can move nothing any more. */
  delete(name: GroupName): Promise<void>
  /** Absent where the database can't tell a key that was there before. */
  readonly inbox?: Inbox
  /** Absent where the database has no event streams. */
  readonly outbox?: Outbox
}

/** Progress in the log that handlers' outputs go to. */
export type OutputProgressLog = TransactionalProgressLog<OutputTransaction>
