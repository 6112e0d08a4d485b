import type { TidemarkError } from '../model/errors.js'
import type { PartitionKey } from '../model/partition.js'
import type { StartSpec } from '../model/start.js'
import type { ConnectContext } from './context.js'
import type { OffsetMirror } from './offsets.js'

/* A source reads a log. */

/** One message, as a handler sees it. `console.log` and `JSON.stringify` show all of it, JSON with the offset as text. */
export interface Message<V = unknown> {
  readonly stream: string
  readonly partition: number
  readonly offset: bigint
  /**
   * The key as text; null when the message has none. Bytes that are no UTF-8 stand in it as lone surrogates (U+DC80 to U+DCFF), so that
   * different keys are different texts; a database or another topic can't hold such text: take `keyBytes` there.
   */
  readonly key: string | null
  /** The key as it is in the log. */
  readonly keyBytes: Buffer | null
  /** Decoded by the source's `value` option; null for a Kafka tombstone. */
  readonly value: V
  readonly headers: MessageHeaders
  /** When the message was written: milliseconds since 1970, by the log's own clock or the producer's, as the log says. -1 where the log has none. */
  readonly timestamp: number
  /** `group/stream/partition/offset/replay`: the same at every retry, another one after a deliberate reset. */
  readonly idempotencyKey: string
}

/** A message's headers in their order. A name may occur more than once. */
export interface MessageHeaders extends Iterable<readonly [name: string, value: string | null]> {
  readonly size: number
  /** The last value of that name as text, as `key` is. */
  get(name: string): string | null | undefined
  getAll(name: string): (string | null)[]
  /** The last value of that name as bytes. */
  getBytes(name: string): Buffer | null | undefined
}

/** Where a value stands, for decoders that need it. The object is reused: read it before the first `await`. */
export interface ValueInfo extends PartitionKey {
  readonly offset: bigint
}

/** Turns what the log holds into what the handler gets. */
export interface ValueCodec<V> {
  /** For people and for the config's version: `json`. */
  readonly name: string
  /**
   * @param raw bytes from a binary log, text from one that keeps text (a Postgres event stream)
   * @returns the value, or a promise of it. What this throws, and a promise that rejects with `Undecodable`, makes the message
   *   undecodable; any other rejection is retried
   */
  decode(raw: Buffer | string, info: ValueInfo): V | PromiseLike<V>
  /** Does the same with a part of a buffer. Sources use it where it is there, to be spared a view for each message. */
  decodePart?(buffer: Buffer, start: number, end: number, info: ValueInfo): V | PromiseLike<V>
}

/** How a source decodes: what its options say. */
export interface Decoding<V> {
  readonly codec: ValueCodec<V>
  /** Values of a chunk that are decoded at the same time, where the codec gives promises. */
  readonly concurrency: number
  /** How long each of them may take, ms. */
  readonly timeoutMs: number
}

/** A stream in a user's config. */
export interface Source<V = unknown> {
  /** `kafka`, `postgres`, ... */
  readonly kind: string
  readonly stream: string
  /** What tells this source from another, for people and for the config's version. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  /** How values are decoded: `tidemark/testing` reads so from a log of its own. A source without it gives bytes there. */
  readonly decoding?: Decoding<V>
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
  /**
   * When the oldest message of each partition was written, ms since 1970; a partition whose log does not say, or is empty, is absent.
   * Cheap enough to be asked twice a minute. Absent in a source that can't tell.
   */
  firstTimes?(partitions: readonly number[]): Promise<ReadonlyMap<number, number>>
  /** The position that a start spec means now. */
  resolve(partition: number, start: StartSpec): Promise<bigint>
  /**
   * Resolves with true as soon as there is something to read at or beyond `position`, with false when `signal` aborts.
   * All partitions waiting in one worker share their requests. Never rejects for an outage: it keeps trying, and logs.
   */
  waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean>
  /**
   * Names the incarnation of a partition's stream: another text after it was deleted and created again, or null where the log does
   * not say. Positions of one incarnation mean nothing in another. Where a stream is created as a whole, all partitions have the same,
   * and a client answers callers that ask at the same time with one request.
   */
  identity(partition: number): Promise<string | null>
  /** True where offsets have gaps of any size and first and head say nothing of whether a position can be read. */
  readonly sparse?: boolean
  /** The log's own place for a group's offsets, where it has one. Mirrored by default, for people's tools. */
  readonly groupOffsets?: OffsetMirror
  /** Starts reading at `from`. Opens nothing until the first `next`. */
  read(from: bigint, options: ReadOptions): Reader<V>
  /**
   * Makes of a message that was kept raw what `read` would have made of it, as a chunk of one message: undecodable, it is the chunk's
   * `poison`; with an asynchronous decoder, the chunk has a `settle`. A value of null is the log's own tombstone. Asks the log nothing:
   * it may have deleted the message since.
   */
  restore(raw: RawMessage, origin: PartitionKey & { readonly replay: number }): Chunk<V>
  close(): Promise<void>
}

export interface ReadOptions {
  readonly key: PartitionKey
  /** Goes into the messages' idempotency keys. */
  readonly replay: number
  /**
   * The incarnation of the stream that the position belongs to (`SourceClient.identity`), where it is known. A reader that can tell
   * reads nothing of another one: `next` throws OUT_OF_RANGE.
   */
  readonly identity?: string | null
  /**
   * The witness of the chunk that ended exactly at the position (`Chunk.witness`), where it is known; not that of an earlier chunk. A
   * reader that finds the log to be another one there reads nothing: `next` throws OUT_OF_RANGE.
   */
  readonly witness?: string | null
  /** Bytes asked of the log in one fetch; one message larger than that is still delivered. */
  readonly fetchBytes: number
  /** The worker's memory for messages: taken before a fetch, given back by `Chunk.release`. */
  readonly budget: ByteBudget
  /** Ends the reader: a pending `next` resolves with null. */
  readonly signal: AbortSignal
}

/**
 * Reads one partition forward, with at most one fetch in flight beside the chunk being handled.
 * Not for concurrent calls of `arrived` and `next`.
 */
export interface Reader<V = unknown> {
  /**
   * Waits until `next` has something to give at once; false when nothing came within `waitMs`. Decodes nothing, so that a partition that
   * waits for its turn holds bytes and no messages. Throws as `next`.
   */
  arrived(waitMs: number): Promise<boolean>
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
  /**
   * Tells what lies right before `next` from what another writing of the log may have put there: a short text that only the source
   * reads, for a later reader from `next`. Absent where the log has no such thing.
   */
  readonly witness?: string
  /** Set when the message at `next` can't be decoded. The messages before it are in `messages` and can be handled. */
  readonly poison?: Poison
  /**
   * Set where the decoder has given promises: nobody may look at the messages' values before this has resolved. It decodes them and gives
   * the chunk that can be handled, which may end earlier, with poison; null, and the chunk is released, once `signal` aborts. It throws
   * DECODER_FAILED for what may be better at the next try, and the chunk is released. A reader whose chunk ended so is of no use any more:
   * a new one reads from there. Call it once.
   */
  readonly settle?: (signal: AbortSignal) => Promise<Chunk<V> | null>
  /**
   * One of the chunk's messages as it is in the log, until `release`. Its buffers may be parts of larger ones.
   *
   * @param message one of `messages`, undecoded or not
   */
  raw(message: Message<V>): RawMessage
  /** Gives the chunk's bytes back to the budget; call it once its messages are handled. Safe to call twice. */
  release(): void
}

/** A message that can't be decoded. Its reader stops in front of it; a new reader can read on behind it. */
export interface Poison {
  /** UNDECODABLE, or CORRUPT_DATA. It quotes nothing of the message. */
  readonly error: TidemarkError
  /** The message's bytes; null where the log's own data is damaged, or packed in an unknown way. */
  readonly raw: RawMessage | null
  /** When it was written, as `Message.timestamp`. Absent where that can't be read either. */
  readonly timestamp?: number
  /**
   * The position behind it. Where the log's own data is damaged, or packed in an unknown way, this is behind all messages that
   * can't be read for the same reason.
   */
  readonly next: bigint
}

export interface RawContent {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** A message as it is in the log, before any decoding. */
export interface RawMessage extends RawContent {
  readonly offset: bigint
  /** As `Message.timestamp`. */
  readonly timestamp: number
  /** In their order. */
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
  /**
   * Set where the format around key and value can't be read: the value is the whole message then, the key is null and there are no
   * headers. Who keeps raw messages keeps this, too: `restore` reads the message by it, instead of taking all of it for the value.
   */
  readonly whole?: true
}

/** Memory shared by all partitions of a worker. */
export interface ByteBudget {
  /**
   * Waits until `bytes` are free and takes them. A demand larger than the whole budget waits for all of it, so that one
   * huge message passes alone rather than never. A demand for nothing waits for nobody: its loan may grow. Rejects with the signal's reason when it aborts.
   */
  take(bytes: number, signal: AbortSignal): Promise<ByteLoan>
}

export interface ByteLoan {
  /** Changes the loan to what was really needed; never waits. */
  resize(bytes: number): void
  release(): void
}
