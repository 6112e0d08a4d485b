import { randomBytes } from 'node:crypto'
import type { PartitionBatch, PartitionOutcome } from '../../src/model/batch.js'
import { positionChanged } from '../../src/model/fenced.js'
import type { PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Failing } from '../../src/model/trouble.js'
import type { Chunk, Poison } from '../../src/ports/index.js'
import { type Commits, commitsOf } from '../committing/commits.js'
import { hasLostProgress } from '../committing/lost-progress.js'
import type { StoredOffsets } from '../committing/stored-offsets.js'
import { ChunkWork } from '../failing/chunk-work.js'
import { Redrive } from '../failing/redrive.js'
import { nameOf } from '../failing/worked.js'
import { delivererOf } from '../handling/deliverer.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { BatchTry } from './batch-try.js'
import type { CatchUp } from './catch-up.js'
import type { ChunkSize } from './chunk-size.js'
import { Claim } from './claim.js'
import { identityChanged } from './identity.js'
import { Interrupt } from './interrupt.js'
import type { LoopMonitor } from './loop-monitor.js'
import type { ManualOffsets } from './manual-offsets.js'
import type { Lease, Readers, ReadingPlace } from './readers.js'
import { type RunEnd, runEnd } from './run-end.js'

/** How often a partition that waits looks whether the handlers' database still has what it has done, ms. */
const lookEvery = 10_000

/** What the runs of a worker's partitions share from batch to batch. */
export interface BatchResources {
  readonly readers: Readers
  readonly manual: ManualOffsets
  readonly catchUp: CatchUp
  readonly chunkSize: ChunkSize
}

/**
 * One partition while a batch has it: its reader, its handler, its commits, and how far it has come. Everything up to `position` is
 * handled.
 */
export class PartitionRun {
  readonly interrupt = new Interrupt()
  readonly #owner = randomBytes(6).toString('base64url')
  /** The partition among all of a worker's. */
  readonly name: string
  position: bigint
  messages = 0
  /** When the chunk in hand was given to the handler, by `performance.now()`; null where none is. */
  handlingSince: number | null = null
  /** One call of its handler has outlasted the batch of its neighbours. */
  slow = false
  /** It has claimed the partition, and knows where to begin. */
  opened = false
  readonly #claim = new Claim()
  #head: bigint
  #committed: bigint | undefined
  #idleSince = performance.now()
  #committedIdle = false
  /** When progress was last seen, or moved. */
  #lookedAt = performance.now()
  #checkpointAt = performance.now()
  #lease: Lease | undefined
  /** The chunk in hand, for what watches the event loop. */
  #watched: ReturnType<LoopMonitor['begin']> | undefined
  /** Messages that the chunk in hand was asked to have at the most. */
  #asked = 0
  /** Gives back the slot of the chunk in hand. */
  #slot: (() => void) | null = null
  #commits: Commits | undefined
  #work: ChunkWork | undefined
  #redrive: Redrive | undefined
  /** Of the message before the position, where it is known. */
  #witness: string | undefined
  #bound: RunEnd | null = null
  /** What the handler had stored before a failure, under the strategy `manual`: only that is done then. */
  #forgotten: StoredOffsets | undefined

  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly resources: BatchResources,
    readonly key: PartitionKey,
    readonly batch: PartitionBatch,
    private readonly tried: BatchTry,
  ) {
    this.name = nameOf(key)
    this.position = BigInt(batch.from)
    this.#head = this.position
  }

  get token(): FencingToken {
    const { epoch, batch } = this.batch
    return { epoch, batch, attempt: this.tried.attempt, owner: this.#owner }
  }

  /**
   * Claims the partition, and begins where its progress is: ahead of the plan when an earlier attempt came some way.
   *
   * @returns whether a bounded run is over there
   * @throws TidemarkError POSITION_CHANGED or FENCED
   */
  async open(): Promise<boolean> {
    const { key, batch, runtime, token } = this
    const { replay, identity, epoch } = batch
    if (await identityChanged(runtime.source, key.partition, identity))
      throw positionChanged(key, 'is of a stream that was deleted and made again')
    const { position: claimed, witness } = await this.#claim.of(runtime.progress, key, token, batch)
    // Where offsets are stored by hand, reading is ahead of progress.
    if (claimed < BigInt(batch.from) && runtime.settings.commit.after !== 'manual')
      throw positionChanged(
        key,
        `has progress at ${claimed}, though it had come to ${batch.from} before: it was set back`,
      )
    const stored = this.resources.manual.take(key, token, batch, claimed)
    this.position = stored?.read ?? claimed
    this.#begin(stored, this.position === claimed ? witness : null)
    this.#commits = commitsOf(runtime, { key, epoch, replay }, this.position, stored)
    this.#bound = runEnd(runtime, key, batch, this.tried.attempt)
    const { attempt, apart, lost } = this.tried
    const [reached = false] = await Promise.all([
      this.#bound?.reached(this.position),
      this.#work!.begin(this.position, { first: attempt === 1, apart, lost: lost() }),
    ])
    this.opened = true
    return reached
  }

  /** Reads and handles again what failed, where progress says. */
  async again(): Promise<void> {
    const { key, batch, runtime, token } = this
    await this.#release(false)
    this.#forgotten = undefined
    const { replay } = batch
    const progress = await runtime.progress.read(key)
    // The answer to a commit may have been lost.
    if (progress && progress.replay === replay && progress.position > this.position) this.position = progress.position
    const stored = this.resources.manual.take(key, token, batch, progress?.position ?? this.position)
    if (stored) this.position = stored.read
    this.#begin(stored, progress?.position === this.position ? progress.witness : null)
    await this.#work!.begin(this.position, { first: false, apart: false, lost: false })
  }

  /** The message that its handler has failed at, as long as it is not behind it. */
  get failing(): Failing | undefined {
    return this.#work?.troubles.failing
  }

  /** Milliseconds until a message that was set aside is to be handled. */
  get redriveIn(): number {
    return this.#redrive?.dueIn ?? Number.POSITIVE_INFINITY
  }

  /** Handles messages that were set aside and are due. Returns how many; null where no slot was free before something interrupted the wait. */
  async redrive(stops: () => boolean): Promise<number | null> {
    this.#slot = await this.runtime.slots.take(this.interrupt)
    if (!this.#slot) return null
    try {
      this.handlingSince = performance.now()
      const witness = this.#witness
      const standing = { position: this.position, head: this.#head, ...(witness !== undefined && { witness }) }
      return await this.#redrive!.some(standing, { stops })
    } finally {
      this.handlingSince = null
      this.#giveBackSlot()
    }
  }

  /** Nothing is known of in the log that was not handled yet. */
  get hasReadAll(): boolean {
    return this.position >= this.#head
  }

  /** An asynchronous decoder is at work on its next chunk. */
  get isDecoding(): boolean {
    return this.#lease?.isDecoding ?? false
  }

  /** The next chunk, with a slot to handle it; null where nothing came in time, or something interrupted the wait. */
  async next(most: number, waitMs: number): Promise<Chunk | null> {
    const { slots } = this.runtime
    const commits = this.#commits!
    const wait = Math.max(0, Math.min(waitMs, commits.dueIn, this.#idleIn, this.#lookIn, this.redriveIn))
    const lease = this.#lease!
    if (!(await lease.arrived(wait, this.interrupt))) return null
    // Messages are decoded for a slot that is free: those that wait for one take no more memory than their bytes.
    this.#slot = await slots.take(this.interrupt)
    if (!this.#slot) return null
    const maxMessages = Math.min(this.resources.chunkSize.messages, most, commits.most)
    this.#asked = maxMessages
    let chunk: Chunk | null = null
    try {
      chunk = await lease.next({ maxMessages, waitMs: 0 }, this.interrupt)
    } finally {
      if (!chunk) this.#giveBackSlot()
    }
    return chunk
  }

  /**
   * Handles a chunk.
   *
   * @param stops whether no chunk is to be begun any more, since the batch closes
   * @returns whether a bounded run ends here; null where it was put back, since it was not begun in time
   */
  async handle(whole: Chunk, stops: () => boolean): Promise<boolean | null> {
    if (stops()) {
      this.#giveBackSlot()
      this.#lease!.putBack(whole)
      return null
    }
    let last = false
    let all = true
    try {
      const cut = this.#bound?.cut(whole)
      const chunk = cut?.chunk ?? whole
      last = cut?.last ?? false
      this.#head = chunk.head
      this.runtime.story.took(this.key, chunk)
      this.handlingSince = performance.now()
      this.#watched = this.runtime.loop.begin(this.key)
      const began = this.handlingSince
      let pieces = 0
      let since = began
      const done = async (piece: Chunk, handled: Chunk['messages']) => {
        const now = performance.now()
        pieces++
        this.#came(piece)
        this.runtime.story.handled(this.key, { ...piece, messages: handled }, now - since)
        since = now
        await this.#commits!.done(piece.next, piece.messages.length)
      }
      if (chunk.next > chunk.from) all = await this.#work!.handle(chunk, { stops, done, interrupt: this.interrupt })
      else await done(chunk, [])
      if (all && pieces === 1) this.#measure(chunk, performance.now() - began)
      if (all && this.resources.catchUp.handled(this.batch, chunk))
        this.runtime.story.caughtUp({ ...this.key, position: chunk.next })
      // Everything before it is done now, so that the message the partition stops at is the first one not handled.
      if (all && whole.poison && !last) await this.#pass(whole.poison, whole.head)
      else if (all) return last
    } finally {
      this.handlingSince = null
      this.#watched?.end()
      this.#giveBackSlot()
      whole.release()
    }
    // The reader is further, or stands in front of what it can't read.
    return this.#readFromHere()
  }

  /** Goes past a message that can't be decoded, while its bytes are still there. Throws its error where the partition is to stop at it. */
  async #pass(poison: Poison, head: bigint): Promise<void> {
    if (!(await this.#work!.undecodable(poison, this.position, head))) throw poison.error
    this.#came({ next: poison.next, messages: [] })
    await this.#commits!.done(this.position, 0)
  }

  /** Everything up to the end of the piece is done. */
  #came({ next, messages, witness }: Pick<Chunk, 'next' | 'messages' | 'witness'>): void {
    this.position = next
    this.messages += messages.length
    this.#witness = witness
    this.#idleSince = this.#lookedAt = performance.now()
    this.#committedIdle = false
  }

  /** The reader is elsewhere. Another one begins at the position. */
  async #readFromHere(): Promise<false> {
    await this.#lease!.close()
    this.#lease = this.resources.readers.take(this.key, this.#place, null)
    return false
  }

  /**
   * Nothing came. Commits what is due, and what is left once the consumer's idle gap is over; looks now and then whether it is still there.
   *
   * @returns whether a bounded run ends here
   */
  async idle(): Promise<boolean> {
    const commits = this.#commits!
    if (commits.dueIn <= 0) await commits.done(this.position, 0)
    if (this.#lookIn <= 0) await this.#requireProgress()
    if (this.#idleIn > 0 || this.#committedIdle) return false
    await commits.idle()
    this.#committedIdle = true
    // A log that could not name its stream as long as it was empty may be able to now: the name is stored with the position.
    if (
      this.batch.identity === null &&
      this.messages > 0 &&
      (await identityChanged(this.runtime.source, this.key.partition, null))
    )
      throw positionChanged(this.key, 'is of a stream that the log can name now')
    return (await this.#bound?.idle(this.position)) ?? false
  }

  /** Commits what is done, in a batch that stays open for longer than it should, ms after the last time. */
  async commitEvery(ms: number): Promise<void> {
    if (performance.now() - this.#checkpointAt < ms) return
    this.#checkpointAt = performance.now()
    await this.#commits!.idle()
  }

  /** Ends the partition's part in the batch. Its reader is kept for the batch that follows at once. */
  async close(keepReader: boolean): Promise<void> {
    try {
      this.#committed = await this.#commits?.end()
    } finally {
      await this.#release(keepReader)
    }
  }

  /** Ends the run after a failure: messages that were handed out and not stored are handed out again. */
  async abandon(): Promise<void> {
    this.#forgotten = this.resources.manual.forget(this.key)
    await this.#release(false)
  }

  outcome(end: 'more' | 'rest' | 'released' | 'finished'): PartitionOutcome
  outcome(end: 'failed' | 'slow' | 'blocked' | 'fenced' | 'reopen', reason: string): PartitionOutcome
  outcome(end: PartitionOutcome['end'], reason?: string): PartitionOutcome {
    const to = this.#forgotten?.durable ?? this.position
    const head = this.#head > to ? this.#head : to
    return {
      partition: this.key.partition,
      epoch: this.batch.epoch,
      batch: this.batch.batch,
      to: String(to),
      messages: this.messages,
      head: String(head),
      ...(this.#committed === undefined ? {} : { committed: String(this.#committed) }),
      end,
      ...(reason === undefined ? {} : { reason }),
      ...this.#dueAt,
    } as PartitionOutcome
  }

  /** When a message that was set aside comes back. */
  get #dueAt(): { dueAt?: string } {
    const at = this.#work?.parked.nextDue ?? null
    return at === null ? {} : { dueAt: new Date(at).toISOString() }
  }

  /** Milliseconds until progress is to be looked at. */
  get #lookIn(): number {
    return this.#committedIdle ? this.#lookedAt + lookEvery - performance.now() : Number.POSITIVE_INFINITY
  }

  /** @throws TidemarkError POSITION_CHANGED where the handlers' database has lost what was handled: it was set back, or emptied */
  async #requireProgress(): Promise<void> {
    this.#lookedAt = performance.now()
    const { runtime, key, position } = this
    if (await hasLostProgress(runtime, [{ key, position }]))
      throw positionChanged(key, `has less progress than ${position}, which it had come to: it was set back`)
  }

  get #place(): ReadingPlace {
    const { replay, identity } = this.batch
    return { from: this.position, replay, identity }
  }

  /** Milliseconds until the partition counts as idle. */
  get #idleIn(): number {
    if (this.#committedIdle) return Number.POSITIVE_INFINITY
    return this.#idleSince + this.runtime.settings.batch.idleGapMs - performance.now()
  }

  #measure({ messages, bytes }: Chunk, ms: number): void {
    const full = messages.length >= this.#asked || bytes >= this.runtime.settings.chunk.fetchBytes / 2
    this.resources.chunkSize.handled(messages.length, ms, full)
  }

  #giveBackSlot(): void {
    this.#slot?.()
    this.#slot = null
  }

  /** @param witness of the message before the position, where that is known */
  #begin(stored: StoredOffsets | undefined, witness: string | null): void {
    const { key, batch, runtime, token } = this
    const { replay } = batch
    const timeoutMs = runtime.settings.chunkTimeoutMs
    const ran = (ms: number) => this.#watched?.ran(ms)
    const deliver = delivererOf(runtime, { key, token, replay, timeoutMs, ran, ...(stored && { stored }) })
    const worked = { key, token, replay, clock: this.tried.clock }
    this.#work = new ChunkWork(runtime, worked, deliver)
    this.#redrive = new Redrive(runtime, worked, this.#work, deliver)
    this.#witness = witness ?? undefined
    this.#lease = this.resources.readers.take(key, this.#place, witness)
  }

  async #release(keepReader: boolean): Promise<void> {
    const lease = this.#lease
    this.#lease = undefined
    this.#giveBackSlot()
    if (!lease) return
    if (keepReader) this.resources.readers.park(this.key, this.#place, lease)
    else await lease.close()
  }
}
