import type { Database, Log, Message, NewEvent, Transaction } from '../ports/index.js'

/** What a handler may know and use beside its messages. */
export interface HandlerContext {
  readonly group: string
  readonly stream: string
  readonly partition: number
  /** 1 for the first try of the batch, 2 after its first failure, and so on. */
  readonly attempt: number
  /** 0, and one more after each reset of the partition. */
  readonly replay: number
  /** Aborted when the worker has to let go of the chunk: its transaction is rolled back. Pass it to what you wait for. */
  readonly signal: AbortSignal
  readonly log: Log
  /**
   * Writes a message to the consumer's `output`: it is sent when the handler has returned, together with all others, and
   * acknowledged before progress moves. A handler that throws has sent nothing, unless it flushed.
   *
   * @throws Error without an output, when more than its `maxBuffered` waits, and after the handler has returned
   */
  produce(topic: string, message: OutputMessage): void
  /** Sends what was produced up to here, and resolves when all of it is acknowledged. Rejects with OUTPUT_FAILED. */
  flush(): Promise<void>
  /**
   * With `commit: 'manual'`: marks a message, and all before it in its partition, as done. The next periodic commit picks it up. It may
   * be called after the handler has returned, while this worker still works the partition; inside a transaction it counts
   * when that is committed.
   *
   * @throws Error with another strategy, or for a message that was not handed out
   */
  storeOffset(message: Message): void
  /**
   * With `commit: 'manual'`: commits what is stored now, and resolves when that is done. Inside a transaction it happens right after
   * the transaction.
   */
  commit(): Promise<void>
}

/** A message for `produce`. */
export interface OutputMessage {
  /** Chooses the partition, as Kafka's Java client would; messages of one key keep their order. */
  readonly key?: string | Buffer | null
  /** Text and bytes as they are, objects as JSON, null for a tombstone. */
  readonly value: string | Buffer | object | null
  readonly headers?: Readonly<Record<string, string | Buffer | null>>
  readonly partition?: number
  /**
   * The message that this one is made of: the header `tidemark-key` is its `idempotencyKey`, a slash and a number, so that a
   * repetition can be told. Where it is absent, those of the chunk's first message count.
   */
  readonly source?: Message
}

export interface TransactionContext extends HandlerContext {
  /** Write through this, and the effects and Tidemark's progress are committed together or not at all. */
  readonly tx: Transaction
  /**
   * Writes events to a Postgres event stream as part of the transaction: they are there exactly when its effects are. A second
   * consumer, of that stream, takes them wherever they have to go. The stream is made by `createStream`, in the same database.
   *
   * @throws TidemarkError STREAM_NOT_FOUND; CONFIG_INVALID for an event that JSON can't say, or where the transactions are no database's
   */
  outbox(stream: string, events: readonly NewEvent[]): Promise<void>
}

/**
 * Handles a chunk, at least once: progress moves after it returns, so a crash between the two repeats the chunk.
 * Use each message's `idempotencyKey` where repeating does harm.
 */
export type PlainHandler<V = unknown> = (
  messages: readonly Message<V>[],
  context: HandlerContext,
) => Promise<void> | void

/** Handles a chunk inside a database transaction: its effects happen once. */
export type TransactionalFunction<V = unknown> = (
  messages: readonly Message<V>[],
  context: TransactionContext,
) => Promise<void> | void

export interface TransactionalHandler<V = unknown> {
  readonly kind: 'transactional'
  readonly handle: TransactionalFunction<V>
  /** The database the handler writes to; the store's when absent. */
  readonly database?: Database
}

/**
 * What `transactional` gives: a handler that can also be called, for example by a test with a transaction of its own. That it is a
 * function matters to TypeScript, too: inside of a call, TypeScript puts off generic calls that return functions until it knows the rest,
 * so the type of the messages comes from the consumer's source.
 */
export interface CallableHandler<V = unknown> extends TransactionalHandler<V>, TransactionalFunction<V> {}

/** What users write as a consumer's `handler`. */
export type Handler<V = unknown> = PlainHandler<V> | TransactionalHandler<V>

/** A plain function, once a config is parsed. */
export interface ChunkHandler<V = unknown> {
  readonly kind: 'chunk'
  readonly handle: PlainHandler<V>
}

/** A handler by its kind, which decides how it gets its chunks. */
export type HandlerKind<V = unknown> = ChunkHandler<V> | TransactionalHandler<V>

export interface TransactionalOptions {
  /** Where the handler writes, if not to the store's database: `postgresDatabase({ connectionString })`. Tidemark keeps its progress table there. */
  readonly database?: Database
}

/**
 * Makes effects happen once. The handler's writes through `tx` and Tidemark's progress are one transaction, which commits only
 * while this worker still owns the partition.
 */
export function transactional<V = unknown>(
  handle: TransactionalFunction<V>,
  options: TransactionalOptions = {},
): CallableHandler<V> {
  const fields = { ...options, kind: 'transactional' as const, handle }
  const call: TransactionalFunction<V> = (messages, context) => handle(messages, context)
  // Defined rather than assigned: a function has fields that can't be assigned, and wrong options are refused later, by name.
  return Object.defineProperties(call, Object.getOwnPropertyDescriptors(fields)) as CallableHandler<V>
}
