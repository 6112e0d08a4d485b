import type { TidemarkError } from './model/errors.js'
import type { PartitionKey } from './model/partition.js'
import type { StartSpec } from './model/start.js'
import type { FencingToken } from './model/token.js'

/*
 * The seams of Tidemark. A source reads a log; a database keeps progress beside the handler's own writes; an offset store
 * keeps the consumer's position. Each has one contract suite (test/contract) that every implementation runs.
 *
 * What users put in their config (Source, Database, OffsetStore) is only a description: it opens no socket. A worker calls
 * `connect` once and owns the client it gets until it closes it.
 */

/** What a client may use of the worker it lives in. */
export interface ConnectContext {
  readonly log: Log
  /** Aborted when the worker gives up connecting or ends. */
  readonly signal: AbortSignal
}

/** A structured log; the worker passes pino. The object comes first so that a message is never lost among fields. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

// ---------------------------------------------------------------- sources

/** One message, as a handler sees it. */
export interface Message<V = unknown> {
  readonly stream: string
  readonly partition: number
  readonly offset: bigint
  /** The key as UTF-8 text; null when the message has none. */
  readonly key: string | null
  /** The key as it is in the log. */
  readonly keyBytes: Buffer | null
  /** Decoded by the source's `value` option; null for a Kafka tombstone. */
  readonly value: V
  readonly headers: MessageHeaders
  /** When the message was written: milliseconds since 1970, by the log's own clock or the producer's, as the log says. */
  readonly timestamp: number
  /** `group/stream/partition/offset/replay`: the same at every retry, another one after a deliberate reset. */
  readonly idempotencyKey: string
}

/** A message's headers in their order. A name may occur more than once. */
export interface MessageHeaders extends Iterable<readonly [name: string, value: string | null]> {
  readonly size: number
  /** The last value of that name as UTF-8 text. */
  get(name: string): string | null | undefined
  getAll(name: string): (string | null)[]
  /** The last value of that name as bytes. */
  getBytes(name: string): Buffer | null | undefined
}

/** A stream in a user's config. */
export interface Source<V = unknown> {
  /** `kafka`, `postgres`, ... */
  readonly kind: string
  readonly stream: string
  /** What tells this source from another, for people and for the config's version. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  /** Opens connections. Throws UNREACHABLE, AUTH_FAILED or STREAM_NOT_FOUND after *one* try; the worker does the waiting. */
  connect(context: ConnectContext): Promise<SourceClient<V>>
}

export interface Bounds {
  /** Offset of the oldest message that can still be read. */
  readonly first: bigint
  /** Offset that the next message written will get. */
  readonly head: bigint
}

export interface SourceClient<V = unknown> {
  /** Indexes of the stream's partitions as they are now. Throws STREAM_NOT_FOUND. */
  partitions(): Promise<readonly number[]>
  /** First offset and head of each partition asked for, in few requests. */
  bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>>
  /** The position that a start spec means now. */
  resolve(partition: number, start: StartSpec): Promise<bigint>
  /**
   * Resolves with true as soon as there is something to read at or beyond `position`, with false when `signal` aborts.
   * All partitions waiting in one worker share their requests. Never rejects for an outage: it keeps trying, and logs.
   */
  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean>
  /**
   * Names the incarnation of the stream: another text after it was deleted and created again, or null where the log does not
   * say. Positions of one incarnation mean nothing in another.
   */
  identity(): Promise<string | null>
  /** True where offsets have gaps of any size and first and head say nothing of whether a position can be read. */
  readonly sparse?: boolean
  /** The log's own place for a group's offsets, where it has one. Mirrored by default, for people's tools. */
  readonly groupOffsets?: OffsetMirror
  /** Starts reading at `from`. Opens nothing until the first `next`. */
  read(from: bigint, options: ReadOptions): Reader<V>
  close(): Promise<void>
}

export interface ReadOptions {
  readonly key: PartitionKey
  /** Goes into the messages' idempotency keys. */
  readonly replay: number
  /** Bytes asked of the log in one fetch; one message larger than that is still delivered. */
  readonly fetchBytes: number
  /** The worker's memory for messages: taken before a fetch, given back by `Chunk.release`. */
  readonly budget: ByteBudget
  /** Ends the reader: a pending `next` resolves with null. */
  readonly signal: AbortSignal
}

/**
 * Reads one partition forward, with at most one fetch in flight beside the chunk being handled.
 * Not for concurrent calls of `next`.
 */
export interface Reader<V = unknown> {
  /**
   * The next chunk, or null when nothing came within `waitMs`. Short outages and leader changes are retried inside, with
   * back-off; throws TidemarkError for what retrying can't mend (OUT_OF_RANGE, CORRUPT_DATA, STREAM_NOT_FOUND, AUTH_FAILED).
   */
  next(limits: { readonly maxMessages: number; readonly waitMs: number }): Promise<Chunk<V> | null>
  /** Gives everything back; safe to call twice. */
  close(): Promise<void>
}

/** A contiguous piece [from, next) of a partition. */
export interface Chunk<V = unknown> {
  readonly from: bigint
  /**
   * Where to go on: beyond the last message, and beyond any gap behind it that the log's own headers name (compaction,
   * transaction markers, aborted records). May move although `messages` is empty.
   */
  readonly next: bigint
  readonly messages: readonly Message<V>[]
  /** Bytes the messages take in memory, about. */
  readonly bytes: number
  /** The partition's head when the chunk was fetched. */
  readonly head: bigint
  /** Set when the message at `next` can't be decoded. The messages before it are in `messages` and can be handled. */
  readonly poison?: TidemarkError
  /** Gives the chunk's bytes back to the budget; call it once its messages are handled. Safe to call twice. */
  release(): void
}

/** Memory shared by all partitions of a worker. */
export interface ByteBudget {
  /**
   * Waits until `bytes` are free and takes them. A demand larger than the whole budget waits for all of it, so that one
   * huge message passes alone rather than never. Rejects with the signal's reason when it aborts.
   */
  take(bytes: number, signal: AbortSignal): Promise<ByteLoan>
}

export interface ByteLoan {
  /** Changes the loan to what was really needed; never waits. */
  resize(bytes: number): void
  release(): void
}

// ---------------------------------------------------------------- progress, beside the handler's writes

/** A database that handlers write to. Progress rows live there, so that effects and progress are one transaction. */
export interface Database {
  readonly kind: string
  /** What people see of it: host, port, database. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  connect(context: ConnectContext): Promise<DatabaseClient>
}

export interface DatabaseClient {
  readonly progress: ProgressLog
  /** Who put positions somewhere else, newest first; for stores that have no room for it. */
  readonly changes: {
    add(change: Omit<OffsetChange, 'at'>): Promise<void>
    list(filter: OffsetFilter & { readonly limit: number }): Promise<readonly OffsetChange[]>
  }
  close(): Promise<void>
}

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
   * Throws FENCED when an equal or greater token has claimed already.
   */
  claim(key: PartitionKey, token: FencingToken, start: { from: bigint; replay: number }): Promise<bigint>
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
  readonly send?: OutputClient['send']
}

// ---------------------------------------------------------------- outputs

/** A log that handlers write messages to, in a user's config. */
export interface Output {
  readonly kind: string
  /** What people see of it, and the config's version. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  /** What the handler of a chunk may have waiting to be sent, bytes. */
  readonly maxBufferedBytes: number
  /** Opens connections. Throws UNREACHABLE or AUTH_FAILED after *one* try; the worker does the waiting. */
  connect(context: ConnectContext): Promise<OutputClient>
}

/** One consumer's way to an output. */
export interface OutputClient {
  /**
   * Writes messages, those of one partition in their order. Resolves when all of them are acknowledged and can't get lost. Throws
   * OUTPUT_FAILED, naming topic and partition but nothing of a message: some of them may have been written nevertheless.
   */
  send(records: readonly OutputRecord[]): Promise<void>
  /** Progress in the same log, whose transactions have `send`; for logs that can commit messages and positions together. */
  readonly progress?: ProgressLog
  close(): Promise<void>
}

/** A message on its way out. */
export interface OutputRecord {
  readonly topic: string
  /** Chosen by the key when absent. */
  readonly partition?: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

// ---------------------------------------------------------------- offset stores

/** Keeps how far a group has come. */
export interface OffsetStore {
  readonly kind: string
  readonly describe: Readonly<Record<string, unknown>>
  /** Where plain handlers' progress lives, and transactional ones' that name no database. */
  readonly database: Database
  connect(context: ConnectContext): Promise<OffsetStoreClient>
}

export interface StoredOffset extends PartitionKey {
  readonly position: bigint
  readonly epoch: number
  readonly replay: number
  /** Which incarnation of the stream the position belongs to (`SourceClient.identity`); null where the source has none. */
  readonly identity: string | null
  readonly updatedAt: Date
}

/** What only people do to a position, or what a policy did for them. Kept for ever, beside the offsets. */
export interface OffsetChange extends PartitionKey {
  /** `reset` by a person, `adopted` from another consumer's offsets, `skipped` because the log has lost the messages. */
  readonly kind: 'reset' | 'adopted' | 'skipped'
  /** The position before; null where nothing was stored. */
  readonly from: bigint | null
  readonly to: bigint
  /** Who did it, for people: `user@host`. */
  readonly by: string
  readonly why: string
  readonly at: Date
}

/** How a change of a position is asked for. `from` and `at` are the store's to fill in. */
export type NewPosition = Pick<OffsetChange, 'kind' | 'to' | 'by' | 'why'> & {
  /** Recorded with the position when given. */
  readonly identity?: string | null
}

/** What a mirror is told: the primary store's state of one partition. */
export type MirroredOffset = PartitionKey & Pick<StoredOffset, 'position' | 'epoch' | 'replay'>

export type CommitOutcome =
  | { readonly outcome: 'committed' }
  /** Somebody else owns the partition, or has already committed more. Nothing was changed. */
  | { readonly outcome: 'stale'; readonly epoch: number; readonly position: bigint; readonly replay: number }

export interface OffsetStoreClient extends OffsetMirror {
  /** Brings the store's own tables up to date, under a lock. Throws SCHEMA_TOO_NEW. */
  migrate(): Promise<void>
  read(group: string, stream: string): Promise<readonly StoredOffset[]>
  /** Everything stored of a group, of a stream, or at all; ordered by group, stream, partition. */
  list(filter: OffsetFilter): Promise<readonly StoredOffset[]>
  /**
   * Begins a new ownership: the epoch becomes greater than the stored one and than `above`. Where nothing is stored, the
   * position becomes `start`, of the stream's incarnation `identity`.
   */
  open(key: PartitionKey, options: { above: number; start: bigint; identity?: string | null }): Promise<StoredOffset>
  /** Compare-and-set: moves the position forward when `epoch` is the stored one. Repeating a commit is harmless. */
  commit(key: PartitionKey, commit: { epoch: number; position: bigint; replay?: number }): Promise<CommitOutcome>
  /**
   * Puts the position anywhere, and records who did it and why. Epoch and replay grow by one, so that commits of whoever owns the
   * partition now can't undo it and idempotency keys change. Creates what is not stored yet.
   */
  reset(key: PartitionKey, change: NewPosition): Promise<StoredOffset>
  /** Changes, newest first. */
  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly OffsetChange[]>
  close(): Promise<void>
}

export interface OffsetFilter {
  readonly group?: string
  readonly stream?: string
  readonly partition?: number
}

/**
 * A second place where people look for offsets. It is written after the store, by the partition's owner, and never read for a
 * decision; only by people who bring a group over from another consumer.
 */
export interface OffsetMirror {
  /** What is stored of a group; empty where nothing is. */
  read(group: string, stream: string): Promise<readonly { readonly partition: number; readonly position: bigint }[]>
  /** Makes the mirror show this, unless it shows something of a newer epoch and can tell. Repeating is harmless. */
  assert(offset: MirroredOffset): Promise<void>
}
