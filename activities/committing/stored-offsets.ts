import { messageOf } from '../../src/model/errors.js'
import { saysGone } from '../../src/model/fenced.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Chunk, Message } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import { commitAs, type Ledgers } from './commit-as.js'

/** The current owner of a partition. */
export interface Owner {
  readonly key: PartitionKey
  readonly token: FencingToken
  readonly replay: number
}

type Runtime = Ledgers & Pick<ConsumerRuntime, 'settings' | 'log'>

/**
 * What a handler has stored of one partition, under the strategy `manual`. Only that is ever committed, and only that moves the
 * progress that a successor goes on from; what was read beyond it is read again then. It lives as long as this worker works the
 * partition, since a handler may store a message long after it was handed out, in another batch.
 */
export class StoredOffsets {
  /** How far the handler has been given messages. */
  #read: bigint
  /** Everything before it is stored. */
  #stored: bigint
  /** What progress in the database says. */
  #durable: bigint
  /** Null before the first commit here: the previous owner may have died between progress and commit. */
  #committed: bigint | null = null
  /** Stored inside a transaction that is not committed yet. */
  #pending: bigint | null = null
  #inTransaction = false
  /** The handler has asked for a commit in the middle of its transaction. */
  #wanted = false
  /** Behind the last message of the last chunk the log goes on at `next`: gaps need no storing. */
  #edge: { readonly behind: bigint; readonly next: bigint }
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void> = Promise.resolve()

  constructor(
    private readonly runtime: Runtime,
    private owner: Owner,
    position: bigint,
  ) {
    this.#read = position
    this.#stored = position
    this.#durable = position
    this.#edge = { behind: position, next: position }
  }

  get read(): bigint {
    return this.#read
  }

  /** How far progress in the database has come. */
  get durable(): bigint {
    return this.#durable
  }

  /** Whether the batch that begins at `from` follows on what this worker has read. */
  followedBy(replay: number, from: bigint, durable: bigint): boolean {
    return this.owner.replay === replay && this.#read === from && this.#durable === durable
  }

  /** The next batch, or the next attempt, of the same partition. */
  handOver(owner: Owner): void {
    this.owner = owner
  }

  /** The handler gets this chunk next. */
  hand(chunk: Chunk): void {
    const last = chunk.messages.at(-1)
    if (!last && this.#stored === this.#read) this.#stored = chunk.next
    this.#read = chunk.next
    this.#edge = { behind: last ? last.offset + 1n : chunk.from, next: chunk.next }
  }

  /** @throws Error for a message that was not handed out here */
  store(message: Message): void {
    const { key } = this.owner
    if (message.partition !== key.partition || message.stream !== key.stream || message.offset >= this.#read)
      throw new Error(
        `storeOffset: ${message.stream}[${message.partition}] offset ${message.offset} is no message of this chunk's partition, ${describePartition(key)}, or was not handed out yet`,
      )
    const behind = message.offset + 1n
    const position = behind === this.#edge.behind ? this.#edge.next : behind
    if (this.#inTransaction) this.#pending = max(this.#pending ?? this.#stored, position)
    else {
      this.#stored = max(this.#stored, position)
      this.#flushLater()
    }
  }

  /** Progress before and after a transaction in which the handler stores; the second is asked for when the handler is done. */
  async transact(run: (from: bigint, to: () => bigint) => Promise<void>): Promise<void> {
    await this.#inTurn(async () => {
      await this.#persist()
      this.#inTransaction = true
      this.#pending = null
      this.#wanted = false
    })
    try {
      await run(this.#durable, () => this.#pending ?? this.#stored)
      this.#stored = this.#pending ?? this.#stored
      this.#durable = this.#stored
    } finally {
      this.#inTransaction = false
      this.#pending = null
    }
    if (this.#wanted) await this.flush()
    else this.#flushLater()
  }

  /** Makes durable and commits what is stored now, or after the transaction under way. Returns the committed position. */
  async flush(): Promise<bigint> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#inTurn(async () => {
      if (this.#inTransaction) {
        this.#wanted = true
        return
      }
      await this.#persist()
      const { key, token, replay } = this.owner
      const position = this.#durable
      if (position === this.#committed) return
      await commitAs(this.runtime, { key, epoch: token.epoch, replay }, position)
      this.#committed = position
    })
    return this.#committed ?? this.#durable
  }

  /** One after the other: progress moves from where it is, so two who move it at once would look like two owners. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    await mine
  }

  async #persist(): Promise<void> {
    const { key, token } = this.owner
    const stored = this.#stored
    if (stored === this.#durable) return
    await this.runtime.progress.advance(key, token, this.#durable, stored)
    this.#durable = stored
  }

  #flushLater(): void {
    const { commit } = this.runtime.settings
    if (commit.after !== 'manual' || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.flush().catch((error) => {
        const { key } = this.owner
        const lost = saysGone(error)
        this.runtime.log.warn(
          { ...key, error: messageOf(error) },
          lost
            ? `${describePartition(key)} has another owner now: what was stored here too late is handled again there`
            : `could not commit what is stored of ${describePartition(key)}; trying again with the next one`,
        )
      })
    }, commit.intervalMs)
    this.#timer.unref()
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
