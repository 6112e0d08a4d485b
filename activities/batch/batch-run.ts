import { setTimeout as sleep } from 'node:timers/promises'
import type { BatchInput, BatchResult, PartitionOutcome } from '../../src/model/batch.js'
import { type ErrorCode, isTidemarkError, messageOf } from '../../src/model/errors.js'
import { compareTokens } from '../../src/model/token.js'
import { PositionChanged } from '../committing/commit-as.js'
import { tellFenced } from '../fenced.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { Listener } from './orders.js'
import { type Lasting, PartitionRun } from './partition-run.js'
import { pauseBefore } from './pause.js'
import { Trouble } from './trouble.js'

/** A call of a handler that lasts longer than this does not hold up the end of its neighbours' batch, ms. */
const quickMs = 250
/** How often a waiting partition checks whether Temporal answers again, ms. */
const unheardMs = 500
/** The longest that a waiting partition goes without checking whether the batch has ended, ms. */
const longestWaitMs = 60_000
/** How often a batch that lets go tells its slice of partitions that are out of it, ms. */
const tellLateEveryMs = 1_000

/** How a batch reaches its slice while it runs. */
export interface Reach {
  /** Tells the slice that partitions have left the batch. Resolves when it knows, or can't be told. */
  tell(outcomes: readonly PartitionOutcome[]): Promise<void>
  /** Whether Temporal has answered the last time. Where it does not, the end of a batch would not be followed by another one. */
  readonly heard: boolean
  /** Asks whether Temporal answers now: the last time may be some seconds ago. Never rejects. */
  answers(): Promise<boolean>
}

/**
 * One batch of many partitions. Each is followed by itself (partition-run.ts); the batch decides when all of them end, and what becomes
 * of one that fails.
 *
 *   open     it has not ended: partitions read, handle, and wait at the tail of the log
 *   closing  it is full or old or quiet, or has to let go: no chunk is begun any more, and each partition stops at its boundary
 *   held     a call of a handler has lasted longer than `quickMs` since: the others go on, the slow one leaves the batch after that
 *            call, and then the batch is closing again
 *   closed   every partition has an outcome
 *
 * While Temporal does not answer, an open batch does not close. It commits by itself, as often as it would have ended, and what fails is
 * tried again in its place.
 */
export class BatchRun implements Listener {
  readonly #live = new Set<PartitionRun>()
  readonly #outcomes: PartitionOutcome[] = []
  readonly #trouble: Trouble<PartitionRun>
  #closing: 'more' | 'rest' | 'released' | null = null
  /** Why the whole batch fails. */
  #failure: unknown
  readonly #openedAt = performance.now()
  #firstMessageAt: number | null = null
  #lastMessageAt = performance.now()
  /** It is to close, and asks whether Temporal answers. */
  #asking = false
  #closingSince = 0
  readonly #released = new Set<PartitionRun>()
  /** What became of partitions that the slice has not heard of yet. */
  readonly #untold: PartitionOutcome[] = []
  /** Partitions that have stopped at a boundary, and wait for a neighbour in a call of its handler. */
  readonly #boundary = new Set<PartitionRun>()

  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly input: BatchInput,
    lasting: Lasting,
    private readonly attempt: number,
    private readonly reach: Reach,
  ) {
    for (const batch of input.partitions) {
      const key = { ...input.name, partition: batch.partition }
      this.#live.add(new PartitionRun(runtime, lasting, key, batch, attempt))
    }
    this.#trouble = new Trouble(input.mayLeave)
  }

  /** For people who look at the pending activity. */
  get progress(): object {
    const runs = [...this.#live]
    const messages = runs.reduce((sum, run) => sum + run.messages, 0)
    return { messages, positions: Object.fromEntries(runs.map((run) => [run.key.partition, String(run.position)])) }
  }

  /** @throws what failed in a way that concerns the whole batch: Temporal tries it again */
  async run(): Promise<BatchResult> {
    await Promise.all([...this.#live].map((run) => this.#follow(run)))
    if (this.#failure !== undefined) throw this.#failure
    return { partitions: this.#outcomes }
  }

  end(): void {
    this.#close('released')
  }

  release(isAsked: (partition: number, epoch: number, batch: number) => boolean): void {
    for (const run of this.#live) {
      const { partition, epoch, batch } = run.batch
      if (!isAsked(partition, epoch, batch)) continue
      this.#released.add(run)
      run.interrupt.fire()
    }
  }

  /** Follows a partition until it has an outcome. Never rejects. */
  async #follow(run: PartitionRun): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await this.#work(run)
        return
      } catch (error) {
        // A partition of a batch that fails as a whole has nothing to say.
        if (this.#failure !== undefined || (await this.#judge(run, error))) {
          this.#gone(run)
          return
        }
        await this.#pause(run, tries)
        if (this.#letsGo(run)) {
          if (!run.opened && this.attempt > 1) {
            this.#fail(error)
            this.#gone(run)
            return
          }
          await this.#depart(run, run.outcome('released'))
          return
        }
      }
    }
  }

  async #work(run: PartitionRun): Promise<void> {
    if (run.opened) await run.again()
    else if (this.#wants(run) && (await run.open())) return this.#end(run, 'finished')
    for (;;) {
      const end = await this.#boundaryOf(run)
      if (end) return this.#end(run, end)
      const { maxMessages } = this.runtime.settings.batch
      // A batch that has to stay open takes more than it should.
      const left = maxMessages - run.messages
      const chunk = await run.next(left > 0 ? left : maxMessages, this.#waitMs())
      if (!chunk) {
        if (await run.idle()) return this.#end(run, 'finished')
        await this.#consider(run)
        continue
      }
      if (chunk.messages.length > 0) {
        this.#firstMessageAt ??= performance.now()
        this.#lastMessageAt = performance.now()
      }
      const last = await run.handle(chunk, () => this.#stops(run))
      if (last === null) continue
      this.#trouble.succeeded(run)
      if (last) return this.#end(run, 'finished')
      this.#lastMessageAt = performance.now()
      await this.#consider(run)
    }
  }

  /**
   * Whether to claim the partition. One that is to be let go of is left alone, except where an earlier try had it: that try may still be
   * at work, cut off from Temporal, and only a claim ends it.
   */
  #wants(run: PartitionRun): boolean {
    return this.attempt > 1 || (!this.#released.has(run) && this.#closing !== 'released')
  }

  /** Whether the partition ends here. Where the batch closes, it waits a little for neighbours that are in a call of their handler. */
  async #boundaryOf(run: PartitionRun): Promise<'more' | 'rest' | 'released' | 'slow' | null> {
    for (;;) {
      if (this.#letsGo(run)) return 'released'
      if (run.slow) return 'slow'
      if (!this.#stops(run)) return null
      if (!this.#inHand()) return this.#closing
      const left = this.#closesIn()
      if (left > 0) {
        this.#boundary.add(run)
        await run.interrupt.or(sleep(left, undefined, { ref: false }))
        this.#boundary.delete(run)
      } else {
        // All of them began before the batch was closing: they are too slow for their neighbours, which go on now.
        for (const other of this.#live) if (other.handlingSince !== null) other.slow = true
      }
    }
  }

  /** Whether the partition, or the whole batch, was asked to let go. */
  #letsGo(run: PartitionRun): boolean {
    return this.#released.has(run) || this.#closing === 'released'
  }

  /** Whether the partition is to begin no other chunk. */
  #stops(run: PartitionRun): boolean {
    return this.#released.has(run) || (this.#closing !== null && !this.#held())
  }

  /** Whether a slow partition has still to leave. Until then its neighbours go on. */
  #held(): boolean {
    return this.#closing !== 'released' && [...this.#live].some(({ slow }) => slow)
  }

  /** How long a batch that is closing waits for calls of handlers, ms. */
  #closesIn(): number {
    return Math.max(0, this.#closingSince + quickMs - performance.now())
  }

  /** Whether any partition is in a call of its handler. */
  #inHand(): boolean {
    return [...this.#live].some(({ handlingSince }) => handlingSince !== null)
  }

  /** Whether the batch is to close: it is full, old, or quiet. */
  async #consider(run: PartitionRun): Promise<void> {
    if (this.#closing || !this.reach.heard) {
      // Who waits at the boundary may go on now, or end.
      if (!this.#inHand()) for (const other of this.#boundary) other.interrupt.fire()
      if (this.#closing !== 'released') await run.commitEvery(this.runtime.settings.batch.maxDurationMs)
    } else if (this.#due(run) !== null) await this.#closeIfHeard(run)
  }

  /** Why the batch is to close now, if it is. */
  #due(run: PartitionRun): 'more' | 'rest' | null {
    const { maxMessages, maxDurationMs, restAfterMs } = this.runtime.settings.batch
    const now = performance.now()
    const longest = Math.min(maxDurationMs, this.input.closesInMs ?? Number.POSITIVE_INFINITY)
    if (run.messages >= maxMessages) return 'more'
    if (this.#firstMessageAt !== null && now - Math.max(this.#firstMessageAt, this.#openedAt) >= longest) return 'more'
    if (now - this.#lastMessageAt >= restAfterMs && !this.#inHand()) return 'rest'
    // One that was worked apart and has handled something goes back to its neighbours.
    return this.input.apart && run.messages > 0 ? 'more' : null
  }

  /** Closes once Temporal has answered. Partitions go on where that takes longer than a moment. */
  async #closeIfHeard(run: PartitionRun): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    const asked = this.reach.answers().then((heard) => {
      this.#asking = false
      const why = heard ? this.#due(run) : null
      if (why !== null && this.#closing === null) this.#close(why)
    })
    await Promise.race([asked, sleep(quickMs, undefined, { ref: false })])
  }

  /** How long a partition may wait for messages before the batch has to look whether it is over, ms. */
  #waitMs(): number {
    const { maxDurationMs, restAfterMs } = this.runtime.settings.batch
    const now = performance.now()
    if (this.#closing) return quickMs
    if (!this.reach.heard || this.#asking) return unheardMs
    const longest = Math.min(maxDurationMs, this.input.closesInMs ?? Number.POSITIVE_INFINITY)
    const closesIn = this.#firstMessageAt === null ? Number.POSITIVE_INFINITY : this.#firstMessageAt + longest - now
    const restsIn = this.#lastMessageAt + restAfterMs - now
    return Math.max(1, Math.min(longestWaitMs, closesIn, restsIn))
  }

  #close(why: 'more' | 'rest' | 'released'): void {
    if (this.#closing === 'released' || this.#closing === why) return
    this.#closing = why
    this.#stop()
    if (why === 'released') void this.#tellLate()
  }

  /** From now on, partitions are to stop at their boundaries. */
  #stop(): void {
    this.#closingSince = performance.now()
    for (const run of this.#live) run.interrupt.fire()
  }

  async #end(run: PartitionRun, end: 'more' | 'rest' | 'released' | 'finished' | 'slow'): Promise<void> {
    await run.close(end === 'more')
    if (end === 'slow')
      await this.#depart(run, run.outcome('slow', 'one call of its handler outlasts the batches of its neighbours'))
    else if (end === 'released') await this.#depart(run, run.outcome('released'))
    else {
      this.#outcomes.push(run.outcome(end))
      this.#gone(run)
    }
  }

  /** The partition leaves, and its slice is told at once where neighbours go on; else the batch's result says it. */
  async #depart(run: PartitionRun, outcome: PartitionOutcome): Promise<void> {
    this.#outcomes.push(outcome)
    this.#gone(run)
    if (this.#live.size === 0 || (await this.#hasSuccessor(run))) return
    if (this.#closing !== 'released') await this.reach.tell([outcome])
    else this.#untold.push(outcome)
  }

  /** The whole batch lets go. Partitions that are out of it do not wait for a neighbour in a slow call of its handler. */
  async #tellLate(): Promise<void> {
    for (let wait = quickMs; this.#live.size > 0; wait = tellLateEveryMs) {
      await sleep(wait, undefined, { ref: false })
      const outcomes = this.#untold.splice(0)
      if (this.#live.size > 0 && this.#failure === undefined && outcomes.length > 0) await this.reach.tell(outcomes)
    }
  }

  #gone(run: PartitionRun): void {
    const wasLive = this.#live.delete(run)
    this.#trouble.gone(run)
    if (run.slow && wasLive && this.#closing && !this.#held()) this.#stop()
    else for (const other of this.#boundary) other.interrupt.fire()
  }

  /**
   * What becomes of a partition that has failed.
   *
   * @returns whether it is out of the batch; else it is to be tried again in its place
   */
  async #judge(run: PartitionRun, error: unknown): Promise<boolean> {
    await run.abandon().catch(() => {})
    if (error instanceof PositionChanged) return this.#out(run, run.outcome('reopen', error.message))
    if (isTidemarkError(error) && error.effect === 'lost') return this.#lost(run, error.message)
    // Letting go is not failing: who works the partition next finds out whether the error is still there.
    if (this.#letsGo(run)) {
      // An earlier try that had it may still be at work, cut off, and only a claim ends it.
      if (!run.opened && this.attempt > 1) return this.#fail(error)
      this.runtime.log.debug({ ...run.key, error: messageOf(error) }, 'failed while it was let go')
      return this.#out(run, run.outcome('released'))
    }
    if (isTidemarkError(error) && error.effect === 'stop') return this.#stopped(run, error.code, error.message)
    // Nobody would hear of it, nor try the batch again.
    if (!this.reach.heard) return false
    if (this.input.apart || this.#live.size === 1) return this.#fail(error)
    this.#trouble.failed(run)
    // Its neighbours have a moment to succeed, or to fail for the same reason; no longer than the batch takes to close.
    await this.#wait(run, quickMs, () => this.#closesIn())
    if (this.#failure !== undefined) return true
    const verdict = this.#trouble.judge(run)
    if (verdict === 'all') return this.#fail(error)
    if (verdict === 'stay') return false
    return this.#out(run, run.outcome('failed', messageOf(error)))
  }

  async #out(run: PartitionRun, outcome: PartitionOutcome): Promise<boolean> {
    await this.#depart(run, outcome)
    return true
  }

  /**
   * Another owner has it: of another epoch; or of the same slice, which is no news to it: a later batch; or an earlier try of this batch with
   * the same number, since a person has reset the activity and tries are counted from 1 again. The next batch has a greater token.
   */
  async #lost(run: PartitionRun, reason: string): Promise<boolean> {
    const sibling = await this.#hasSuccessor(run)
    this.runtime.log.warn({ ...run.key, sibling }, reason)
    if (!sibling) {
      await tellFenced(this.runtime, run.key, run.batch.epoch, reason)
      return this.#out(run, run.outcome('fenced', reason))
    }
    this.#outcomes.push(run.outcome('released'))
    return true
  }

  /** Whether a later try of the batch, or a later batch of the slice, has the partition. That one says then what becomes of it. */
  async #hasSuccessor(run: PartitionRun): Promise<boolean> {
    const progress = await this.runtime.progress.read(run.key).catch(() => null)
    if (progress?.token.epoch !== run.batch.epoch) return false
    const order = compareTokens(progress.token, run.token)
    return order > 0 || (order === 0 && !run.opened)
  }

  /** What came before it is done, and is committed like any other batch; the partition stops in front of it. */
  async #stopped(run: PartitionRun, code: ErrorCode, reason: string): Promise<boolean> {
    try {
      await run.close(false)
    } catch (error) {
      if (error instanceof PositionChanged) return this.#out(run, run.outcome('reopen', error.message))
    }
    const jump = code === 'OUT_OF_RANGE' && this.runtime.settings.outOfRange !== 'fail'
    if (jump) return this.#out(run, run.outcome('reopen', reason))
    const blocked = run.outcome('blocked', reason)
    this.runtime.observer.blocked({ ...run.key, offset: BigInt(blocked.to), code, message: reason })
    return this.#out(run, blocked)
  }

  #fail(error: unknown): boolean {
    this.#failure ??= error
    this.#close('released')
    return true
  }

  async #pause(run: PartitionRun, tries: number): Promise<void> {
    await this.#wait(run, pauseBefore(this.attempt + tries + 1, this.runtime.settings.retry), () => 0)
  }

  /** Waits after a failure. Where the partition is to stop, neighbours may be waiting for it: it waits `most` ms then. */
  async #wait(run: PartitionRun, ms: number, most: () => number): Promise<void> {
    const until = performance.now() + ms
    for (;;) {
      const rest = until - performance.now()
      const left = this.#stops(run) ? Math.min(rest, most()) : rest
      if (left <= 0) return
      await run.interrupt.or(sleep(left, undefined, { ref: false }))
    }
  }
}
