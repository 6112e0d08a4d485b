import type { Handler } from '../handlers/handler.js'
import type { Until } from '../handlers/until.js'
import type { Duration, Size } from '../model/units.js'
import type { Message, OffsetStore, Output, Source } from '../ports/index.js'
import type { AfterLastTryOption, ErrorClass } from './failures.js'
import type { CommitOption } from './strategy.js'
import type { TemporalOptions } from './temporal.js'

/** One consumer: a group that reads a stream. Options left out have the default named here. */
export interface ConsumerOptions<V = unknown> {
  /** Name of the group. Two groups read the same stream independently of each other. */
  readonly group: string
  /** The stream, for example `kafka({ brokers, topic })`. */
  readonly source: Source<V>
  /** `transactional(...)` for effects that happen once, or a plain function for at-least-once. */
  readonly handler: Handler<V>
  /**
   * Names this config in `tidemark status`, in logs, and for workers: a batch goes only to workers with the version in force, which the
   * last start names. Up to 64 letters, digits and `.`, `_`, `:`, `+`, `-`; used as it is. Default: a hash of this consumer's options, the
   * store, the handler's own text and Tidemark's version. That hash does not see code that the handler imports: where a deploy changes
   * only such code, a version that is given (the commit, say) keeps workers of the old deploy from taking further batches. Change it
   * with every deploy.
   */
  readonly version?: string
  /** Where the handler's `produce` writes to, for example `kafkaOutput({ brokers })`. */
  readonly output?: Output
  /**
   * `'kafka'`: outputs and progress are one Kafka transaction, so readers of committed data see each output once. For a Kafka
   * source and a `kafkaOutput` of the same cluster, and a plain function as handler.
   */
  readonly transactional?: 'kafka'
  /** Where to begin on a partition for which nothing is stored yet. Default `first`: nothing is missed. */
  readonly start?: StartOption
  /**
   * Ends the run: `'head'` at the head that each partition has when the run begins, for backfills; a function behind the first message
   * of each partition for which it returns true. Default: reads for ever. See docs/bounded-runs.md.
   */
  readonly until?: Until<V>
  /**
   * When the offset is committed: `afterBatch` (the default), `afterEach`, `everyN(n)`, `periodic(interval)`, or `manual`: what the
   * handler stores with `context.storeOffset`. What a crash may repeat is in docs/offsets.md.
   */
  readonly commit?: CommitOption
  /**
   * What happens when the log no longer has the position, because retention has passed it, or the stream was deleted and made again:
   * `fail` (the default) stops the partition and says so; `first` or `last` go on there, and the jump is in `tidemark history`.
   */
  readonly onOutOfRange?: 'fail' | 'first' | 'last'
  /** Leaves out messages that say what another one has said before. Needs `transactional(...)`. See docs/inbox-and-outbox.md. */
  readonly dedupe?: DedupeOption<V>
  /** What closes a batch. The consumer offset is committed after each batch, and when a partition is idle. */
  readonly batch?: {
    /** Messages of one partition after which the batch of its whole slice ends. Default 1,000,000. */
    readonly maxMessages?: number
    /** How old a batch becomes, from its first message on. Default 30s. */
    readonly maxDuration?: Duration
    /** Commits a partition's offset when no message came for so long; its batch stays open. Default 2s. */
    readonly idleGap?: Duration
    /** Closes a batch when no message came for so long in any of its partitions. From then on they cost nothing while they wait. Default 60s. */
    readonly restAfter?: Duration
  }
  /** What a handler gets in one call, and one transaction. */
  readonly chunk?: {
    /** No chunk has more messages than so many. Default 10,000. */
    readonly maxMessages?: number
    /**
     * What a chunk is to take. A worker's first chunks have 100 messages; then they become larger or smaller, by the time that the
     * handler takes, but no smaller where that would cost throughput. A chunk is what a failure repeats, and what a worker that stops has
     * to finish within `shutdownTimeout`. `false`: chunks hold what has arrived, up to `maxMessages`. Default 2s.
     */
    readonly targetDuration?: Duration | false
    /** Bytes asked of the log in one fetch. Default 2MB, or `memory` where that is less. */
    readonly fetchBytes?: Size
  }
  /**
   * Ends a chunk whose handler takes longer: `context.signal` aborts, the transaction is rolled back and its connection closed. The batch
   * fails with CHUNK_TIMEOUT, so that the partition is taken over and tried again, here or on another worker. What the handler still does
   * then is outside of any transaction: one that heeds `context.signal` does no more. Take several times what the slowest chunk takes,
   * a few minutes as a rule: a handler that is only slow would never come through. Default `false`: no limit.
   */
  readonly chunkTimeout?: Duration | false
  /**
   * Chunks that one worker handles at the same time, of different partitions; with transactional handlers at most the `poolSize` of their
   * database. Default 100.
   */
  readonly concurrency?: number
  /**
   * How many workflows the partitions are divided among when the group starts for the first time; at most so many workers share its work.
   * The number stays with the group. Default 16, and 64 for streams of more than 1,024 partitions.
   */
  readonly slices?: number
  /** A worker that is silent for so long (killed, frozen, cut off) loses its batch to another one. Default 10s. */
  readonly heartbeatTimeout?: Duration
  /** What of an error in user code is shown in Temporal, where this consumer differs from the config's `errors`. */
  readonly errors?: 'message' | 'private'
  /** How a message that fails is tried again, and how often. */
  readonly retry?: {
    /**
     * Tries of one message, counted in the database beside progress: deploys, crashes and outages use up none. Default: no end. After the
     * last one, `afterLastTry` says what becomes of it.
     */
    readonly attempts?: number
    /** Tries of a chunk at once and in its place, after a deadlock or a serialization failure. They don't count. Default 2. */
    readonly immediate?: number
    /** By how much of itself a pause is made longer or shorter by chance, 0 to 1. Default 0. */
    readonly jitter?: number
    /** Workers that may be lost at one message (it ends the process, or blocks it for good) before it counts as its last try. Default 3. */
    readonly crashes?: number
    /** The first pause. Default 1s. */
    readonly initialInterval?: Duration
    /** The longest pause. Default 1m, or `initialInterval` where that is longer. */
    readonly maximumInterval?: Duration
    /** Factor from one pause to the next. Default 2. */
    readonly backoff?: number
  }
  /**
   * Finds the message that fails, by halving its chunk: those before it are committed, and those behind it wait. Default: true for
   * `transactional(...)` and `transactional: 'kafka'`. For a plain handler, halving runs effects again, so it is false; it can throw
   * `PartialFailure` instead.
   */
  readonly isolate?: boolean
  /**
   * Says what kind of failure an error is: `'retryable'` uses up a try, `'transient'` none, `'poison'` is the last try at once, and a
   * `DownstreamUnavailable` waits for what is away. Undefined: as Tidemark sees it. It must not return a promise; where it throws, the
   * error counts as retryable. See docs/failures.md.
   */
  readonly classify?: (error: unknown) => ErrorClass | undefined
  /**
   * What becomes of a message after its last try, and of one that can't be decoded. Default `'block'`: its partition stops in front of
   * it. `deadLetter()`, `retryLater('10m', ...)`, `deadLetterTopic({ topic })`, `'pause'`, `'skip'`. See docs/failures.md.
   */
  readonly afterLastTry?: AfterLastTryOption
  /**
   * When so many different messages of a partition come to their last try, one after the other and with none handled between them, that
   * is taken for an outage: the partition stops and says so. `false`: never. Default 5.
   */
  readonly outageAfter?: number | false
}

export interface DedupeOption<V = unknown> {
  /**
   * What is the same in messages that say the same, for example an order's id; null for a message that is never left out. It is
   * called for each message, at each try. Bytes are the same as the text that they are in UTF-8.
   */
  readonly key: (message: Message<V>) => string | Uint8Array | null
  /** How long a key is remembered, at least. Default 7d. */
  readonly retention?: Duration
}

/** `first | last | next`, an offset, or the time of the first message wanted (a Date, ISO text, which is UTC without a zone, or ms since 1970). */
export type StartOption =
  | 'first'
  | 'last'
  | 'next'
  | { readonly offset: bigint | number | string }
  | { readonly timestamp: Date | string | number }

export interface TidemarkOptions {
  /**
   * Where consumer offsets live, for example `postgresStore({ connectionString })`. As a list: the first one decides, the others show
   * the same. Without a list, offsets of Kafka topics are also shown as the group's own in Kafka; `[postgresStore(...)]` does without.
   */
  readonly store: OffsetStore | readonly [OffsetStore, ...OffsetStore[]]
  /** What this worker runs: `consumer({...})`, one for each group and stream. */
  readonly consumers: readonly Consumer[]
  /** How Temporal is reached, and what becomes of the data that goes there. */
  readonly temporal?: TemporalOptions
  /** Names the deployment: its task queues begin with it. Versions of Tidemark that run side by side may share one. Default `tidemark`. */
  readonly taskQueue?: string
  /** Memory for messages, over all partitions of a worker. Default 32MB. */
  readonly memory?: Size
  /** How long start-up waits for Temporal, the store and the streams. Default 60s. */
  readonly connectTimeout?: Duration
  /** How long a worker that is told to stop lets handlers finish their chunk before it rolls it back. Default 30s. */
  readonly shutdownTimeout?: Duration
  /**
   * What gets into Temporal (histories, its UI, `tidemark status`) of an error that user code throws: a handler, a decoder, `until`,
   * `dedupe.key`, or a driver that the handler uses. Default `message`.
   *
   * - `'message'`: its class, code and message, cut to 1,000 characters. Never its stack, its cause, or fields like `detail` of pg.
   * - `'private'`: its class and code, and an ID. The worker's log has the message, the stack and the causes under that ID.
   *
   * Passwords and keys in the config, and credentials in URLs, are removed from all of these texts.
   */
  readonly errors?: 'message' | 'private'
}

/** A consumer in a config: its own value type no longer matters there. */
export interface Consumer {
  readonly kind: 'consumer'
  // biome-ignore lint/suspicious/noExplicitAny: a list of consumers of different value types has no other element type
  readonly options: ConsumerOptions<any>
}
