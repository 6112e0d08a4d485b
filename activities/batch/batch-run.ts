import { setTimeout as sleep } from 'node:timers/promises'
import type { BatchInput, BatchProgress, BatchResult, PartitionOutcome } from '../../src/model/batch.js'
import { isTidemarkError } from '../../src/model/errors.js'
import { retryAfter } from '../failing/retry-after.js'
import type { TemporalClock } from '../failing/temporal-clock.js'
import type { ConsumerRuntime } from '../runtime.js'
import { BatchClock } from './batch-clock.js'
import type { BatchTry } from './batch-try.js'
import { Closing, quickMs } from './closing.js'
import { Departures } from './departures.js'
import { Judge } from './judge.js'
import type { Listener } from './orders.js'
import { type BatchResources, PartitionRun } from './partition-run.js'
import { pauseBefore } from './pause.js'
import type { Reach } from './reach.js'
import { hasSuccessor } from './successor.js'

/** How often a waiting partition checks whether Temporal answers again, ms. */
const unheardMs = 500
/** A chunk that takes longer is shown to people, ms. */
const longChunkMs = 5_000

/**
 * One batch of many partitions. Each is followed by itself (partition-run.ts) until it has an outcome. The batch decides when all of them
 * end (batch-clock.ts, closing.ts), and what becomes of one that fails (judge.ts).
 *
 * While Temporal does not answer, an open batch does not close. It commits by itself, as often as it would have ended, and what fails is
 * tried again in its place.
 */
export class BatchRun implements Listener {
  readonly #clock: BatchClock
  readonly #closing: Closing<PartitionRun>
  readonly #judge: Judge
  readonly #departures: Departures
  readonly #runs: readonly PartitionRun[]
  /** Why the whole batch fails. */
  #failure: unknown
  /** It is to close, and asks whether Temporal answers. */
  #asking = false

  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly input: BatchInput,
    resources: BatchResources,
    private readonly attempt: number,
    private readonly reach: Reach,
    clock: TemporalClock,
  ) {
    const tried: BatchTry = { attempt, apart: input.apart === 'failed', lost: () => reach.lost, clock }
    this.#runs = input.partitions.map(
      (batch) => new PartitionRun(runtime, resources, { ...input.name, partition: batch.partition }, batch, tried),
    )
    this.#clock = new BatchClock(runtime.settings.batch, input)
    this.#closing = new Closing(this.#runs)
    this.#judge = new Judge(runtime, input, attempt, reach, this.#closing)
    this.#departures = new Departures(reach)
  }

  /** Shown in the Temporal UI, at the pending activity. */
  get progress(): BatchProgress {
    const runs = [...this.#closing.live]
    const messages = runs.reduce((sum, run) => sum + run.messages, 0)
    const positions = Object.fromEntries(runs.map((run) => [run.key.partition, String(run.position)]))
    const now = performance.now()
    const long = runs.flatMap(({ key, handlingSince }) => {
      const ms = handlingSince === null ? 0 : now - handlingSince
      return ms < longChunkMs ? [] : [[key.partition, new Date(Date.now() - ms).toISOString()] as const]
    })
    const waiting = runs.flatMap(({ key, name }) => {
      const found = this.runtime.circuits.waitingOf(name)
      return found ? [[key.partition, { for: found.dependency, since: found.since.toISOString() }] as const] : []
    })
    // Those of a batch that has failed are out of it.
    const failing = (this.#failure === undefined ? runs : this.#runs).flatMap(({ key, failing: found }) => {
      const at = found && { offset: found.position, tries: found.tries, at: new Date(found.lastAt).toISOString() }
      return at ? [[key.partition, at] as const] : []
    })
    return {
      messages,
      positions,
      ...(long.length > 0 && { inChunkSince: Object.fromEntries(long) }),
      ...(waiting.length > 0 && { waiting: Object.fromEntries(waiting) }),
      ...(failing.length > 0 && { failing: Object.fromEntries(failing) }),
    }
  }

  /** @throws what failed in a way that concerns the whole batch: Temporal tries it again */
  async run(): Promise<BatchResult> {
    this.runtime.story.began(this.input.partitions)
    await Promise.all([...this.#closing.live].map((run) => this.#follow(run)))
    if (this.#failure !== undefined) throw this.#failure
    return { partitions: this.#departures.outcomes }
  }

  end(): void {
    this.#close('released')
  }

  release(isAsked: (partition: number, epoch: number, batch: number) => boolean): void {
    for (const run of this.#closing.live) {
      const { partition, epoch, batch } = run.batch
      if (isAsked(partition, epoch, batch)) this.#closing.release(run)
    }
  }

  /** Follows a partition until it has an outcome. Never rejects. */
  async #follow(run: PartitionRun): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#work(run)
      } catch (error) {
        if (await this.#isOut(run, error)) return
        // A batch that has handled nothing stays open as long as its partitions wait: others like it would be billed for the whole outage.
        if (isWaiting(error) && [...this.#closing.live].every(({ messages }) => messages === 0)) this.#clock.waits()
        const pause =
          retryAfter(error) ??
          (isWaiting(error) ? 0 : pauseBefore(this.attempt + tries + 1, this.runtime.settings.retry))
        await this.#closing.wait(run, pause, () => 0)
        if (!this.#closing.letsGo(run)) continue
        if (this.#judge.mayBeWorkedElsewhere(run)) return this.#fail(run, error)
        return this.#depart(run, run.outcome('released'))
      }
    }
  }

  async #work(run: PartitionRun): Promise<void> {
    if (run.opened) await run.again()
    else if (this.#wants(run) && (await run.open())) return this.#end(run, 'finished')
    for (;;) {
      const end = (await this.#closing.boundaryOf(run)) ?? (await this.#next(run))
      if (end) return this.#end(run, end)
    }
  }

  async #next(run: PartitionRun): Promise<'finished' | null> {
    const wait = this.runtime.circuits.waitOf(run.name)
    if (wait > 0) {
      await this.#closing.wait(run, wait, () => 0)
      await this.#consider(run)
      return null
    }
    if (run.redriveIn <= 0) await this.#redrive(run)
    if (this.#closing.stops(run)) return null
    return this.#step(run)
  }

  /** Handles messages that were set aside and are due, between two chunks. */
  async #redrive(run: PartitionRun): Promise<void> {
    const handled = await run.redrive(() => this.#closing.stops(run))
    if (!handled) return
    this.#judge.succeeded(run)
    this.#clock.handled()
  }

  /**
   * Waits for one chunk and handles it. In a function of its own, so that nothing keeps the chunk in memory while the partition waits for
   * the next one.
   */
  async #step(run: PartitionRun): Promise<'finished' | null> {
    const { maxMessages } = this.runtime.settings.batch
    // A full batch that can't close yet goes on.
    const left = maxMessages - run.messages
    const chunk = await run.next(left > 0 ? left : maxMessages, this.#waitMs())
    if (!chunk) {
      // What it waited for may be back or not: nothing of this partition needs it any more.
      if (run.hasReadAll) this.runtime.circuits.left(run.name)
      if (await run.idle()) return 'finished'
      await this.#consider(run)
      return null
    }
    if (chunk.messages.length > 0) this.#clock.received()
    const last = await run.handle(chunk, () => this.#closing.stops(run))
    if (last === null) return null
    this.#judge.succeeded(run)
    if (last) return 'finished'
    this.#clock.handled()
    await this.#consider(run)
    return null
  }

  /**
   * Whether to claim the partition. One that is to be let go of is left alone, except where an earlier try had it: that try may still be
   * at work, cut off from Temporal, and only a claim ends it.
   */
  #wants(run: PartitionRun): boolean {
    return this.attempt > 1 || !this.#closing.letsGo(run)
  }

  /** How long a partition may wait for messages, ms. */
  #waitMs(): number {
    if (this.#closing.why) return quickMs
    return !this.reach.heard || this.#asking ? unheardMs : this.#clock.waitMs
  }

  /** Closes the batch if it is time to. */
  async #consider(run: PartitionRun): Promise<void> {
    if (this.#closing.why || !this.reach.heard) {
      if (!this.#closing.isHandling) this.#closing.wakeBoundary()
      if (this.#closing.why !== 'released') await run.commitEvery(this.runtime.settings.batch.maxDurationMs)
    } else if (this.#due(run) !== null) await this.#closeIfHeard(run)
  }

  #due(run: PartitionRun): 'more' | 'rest' | null {
    const { circuits } = this.runtime
    const isBusy = [...this.#closing.live].some(
      (one) => one.isDecoding || one.redriveIn <= 0 || circuits.waitingOf(one.name) !== null,
    )
    return this.#clock.due(run.messages, this.#closing.isHandling || isBusy)
  }

  /** Closes once Temporal has answered. Partitions go on where that takes longer than a moment. */
  async #closeIfHeard(run: PartitionRun): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    const asked = this.reach.answers().then((heard) => {
      this.#asking = false
      const why = heard ? this.#due(run) : null
      if (why !== null && this.#closing.why === null) this.#close(why)
    })
    await Promise.race([asked, sleep(quickMs, undefined, { ref: false })])
  }

  #close(why: 'more' | 'rest' | 'released'): void {
    const news = this.#closing.close(why)
    if (news && why === 'released')
      void this.#departures.tellLate(() => this.#closing.live.size === 0 || this.#failure !== undefined)
  }

  /** Commits what is left, and takes note of what became of the partition. */
  async #end(run: PartitionRun, end: 'more' | 'rest' | 'released' | 'finished' | 'slow'): Promise<void> {
    await run.close(end === 'more')
    if (end === 'slow')
      await this.#depart(run, run.outcome('slow', 'one call of its handler outlasts the batches of its neighbours'))
    else if (end === 'released') await this.#depart(run, run.outcome('released'))
    else {
      this.#judge.ended()
      this.#out(run, run.outcome(end))
    }
  }

  /** Returns whether a partition that has failed is out of the batch; else it is to be tried again in its place. */
  async #isOut(run: PartitionRun, error: unknown): Promise<boolean> {
    const failed = () => this.#failure !== undefined
    // A partition of a batch that fails as a whole has nothing to say.
    const fate = failed() ? ({ fate: 'batch' } as const) : await this.#judge.fateOf(run, error, failed)
    if (fate.fate === 'again') return false
    if (fate.fate === 'batch') this.#fail(run, error)
    else if (fate.fate === 'leaves') await this.#depart(run, fate.outcome)
    else this.#out(run, fate.outcome)
    return true
  }

  /** The partition leaves, and its slice is told at once where neighbours go on; else the batch's result says it. */
  async #depart(run: PartitionRun, outcome: PartitionOutcome): Promise<void> {
    this.#out(run, outcome)
    if (this.#closing.live.size === 0 || (await hasSuccessor(this.runtime.progress, run))) return
    if (this.#closing.why !== 'released') await this.#departures.tell(outcome)
    else this.#departures.keep(outcome)
  }

  #out(run: PartitionRun, outcome: PartitionOutcome): void {
    this.#departures.outcomes.push(outcome)
    this.#remove(run, outcome.end)
  }

  /** The batch fails as a whole. */
  #fail(run: PartitionRun, error: unknown): void {
    this.#failure ??= error
    this.#close('released')
    this.#remove(run, null)
  }

  /** @param end null where the batch fails as a whole */
  #remove(run: PartitionRun, end: PartitionOutcome['end'] | null): void {
    this.runtime.story.left(run.key.partition, this.#failure === undefined ? end : null)
    this.#judge.gone(run)
    // The next batch goes on waiting; after anything else, nobody knows who has the partition next.
    if (end !== 'more') this.runtime.circuits.left(run.name)
    this.#closing.remove(run)
  }
}

/** Something that the handler needs is away, and its circuit says when to try again. */
function isWaiting(error: unknown): boolean {
  return isTidemarkError(error) && error.code === 'UNAVAILABLE'
}
