import type { BatchInput, PartitionOutcome } from '../../src/model/batch.js'
import { isTidemarkError, messageOf, type TidemarkError } from '../../src/model/errors.js'
import { saysReopen } from '../../src/model/fenced.js'
import { TruncatedLog } from '../../src/model/refusals.js'
import { isPostponed } from '../failing/retry-after.js'
import { tellFenced } from '../fenced.js'
import { relocateTo } from '../opening/relocation.js'
import type { ConsumerRuntime } from '../runtime.js'
import { type Closing, quickMs } from './closing.js'
import type { PartitionRun } from './partition-run.js'
import type { Reach } from './reach.js'
import { successorOf } from './successor.js'
import { Trouble } from './trouble.js'

/**
 * What becomes of a partition that has failed.
 *
 * - `leaves`    it is out of the batch, and the slice hears of it
 * - `succeeded` it is out of the batch, and a later try or batch has it: that one tells the slice
 * - `again`     it is tried again in its place
 * - `batch`     the batch fails as a whole, and Temporal tries it again
 */
export type Fate =
  | { readonly fate: 'leaves' | 'succeeded'; readonly outcome: PartitionOutcome }
  | { readonly fate: 'again' }
  | { readonly fate: 'batch' }

const leaves = (outcome: PartitionOutcome): Fate => ({ fate: 'leaves', outcome })

/** Decides what becomes of partitions that fail. */
export class Judge {
  readonly #trouble: Trouble<PartitionRun>

  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly input: BatchInput,
    private readonly attempt: number,
    private readonly reach: Reach,
    private readonly closing: Closing<PartitionRun>,
  ) {
    this.#trouble = new Trouble(input.mayLeave)
  }

  /** A partition has handled something. */
  succeeded(run: PartitionRun): void {
    this.#trouble.succeeded(run)
  }

  /** A partition is done with its part of the batch. */
  ended(): void {
    this.#trouble.ended()
  }

  /** A partition is out of the batch. */
  gone(run: PartitionRun): void {
    this.#trouble.gone(run)
  }

  /** @param batchFailed whether the batch has failed as a whole meanwhile */
  async fateOf(run: PartitionRun, error: unknown, batchFailed: () => boolean): Promise<Fate> {
    await run.abandon().catch(() => {})
    if (saysReopen(error)) return leaves(run.outcome('reopen', error.message))
    if (isTidemarkError(error) && error.effect === 'lost')
      return this.#lost(run, this.runtime.errors.own(error.message))
    // Letting go is not failing: the next batch finds out whether the error persists.
    if (this.closing.letsGo(run)) {
      if (this.mayBeWorkedElsewhere(run)) return { fate: 'batch' }
      this.runtime.log.debug({ ...run.key, error: messageOf(error) }, 'failed while it was let go')
      return leaves(run.outcome('released'))
    }
    if (isTidemarkError(error) && error.effect === 'stop') return this.#stopped(run, error)
    // Nothing is wrong with the partition: it waits, and its circuit says so.
    if (isTidemarkError(error) && error.code === 'UNAVAILABLE') return { fate: 'again' }
    if (!isPostponed(error)) this.runtime.story.failed(run.key, error, { offset: run.position, attempt: this.attempt })
    // Without Temporal nothing would hear of the failure or retry the batch.
    if (!this.reach.heard) return { fate: 'again' }
    if (this.input.apart || this.closing.live.size === 1) return { fate: 'batch' }
    this.#trouble.failed(run)
    // Its neighbours have a moment to succeed, or to fail for the same reason; no longer than the batch takes to close.
    await this.closing.wait(run, quickMs, () => this.closing.graceMs)
    const verdict = batchFailed() ? 'all' : this.#trouble.judge(run, this.closing.live.size)
    if (verdict === 'all') return { fate: 'batch' }
    if (verdict === 'stay') return { fate: 'again' }
    return leaves(run.outcome('failed', this.runtime.errors.reason(error, run.key)))
  }

  /** An earlier try that had the partition may still be at work, cut off from Temporal, and only a claim ends it. */
  mayBeWorkedElsewhere(run: PartitionRun): boolean {
    return !run.opened && this.attempt > 1
  }

  /**
   * Another owner has the partition. Either one with another epoch, which fences it off. Or one of the same slice:
   *
   * - an earlier attempt of this batch with the same number, because a person has reset the activity and attempts count from 1 again. The
   *   next batch has a greater token
   * - a later batch. The slice knows of it, and takes no notice of this one; or it was restored to an older state, and begins anew
   */
  async #lost(run: PartitionRun, reason: string): Promise<Fate> {
    const sibling = await successorOf(this.runtime.progress, run)
    if (sibling) this.runtime.log.warn({ ...run.key, sibling }, reason)
    if (sibling === 'batch') return { fate: 'succeeded', outcome: run.outcome('reopen', reason) }
    if (sibling) return { fate: 'succeeded', outcome: run.outcome('released') }
    await tellFenced(this.runtime, run.key, run.batch.epoch, reason)
    return leaves(run.outcome('fenced', reason))
  }

  /** A permanent error. What came before it is committed like any other batch, and the partition stops in front of it. */
  async #stopped(run: PartitionRun, error: TidemarkError): Promise<Fate> {
    const { code } = error
    const { text: reason } = this.runtime.errors.told(error, run.key.partition)
    try {
      await run.close(false)
    } catch (error) {
      if (saysReopen(error)) return leaves(run.outcome('reopen', error.message))
    }
    const jump = code === 'OUT_OF_RANGE' && this.runtime.settings.outOfRange !== 'fail'
    if (jump && (await this.#relocated(run, error, reason))) return leaves(run.outcome('reopen', reason))
    const blocked = run.outcome('blocked', reason)
    this.runtime.story.blocked({ ...run.key, offset: BigInt(blocked.to), code, message: reason }, error)
    return leaves(blocked)
  }

  /** Whether opening the partition again leads on. It looks at the log's ends, which do not tell that a log was cut. */
  async #relocated(run: PartitionRun, error: TidemarkError, reason: string): Promise<boolean> {
    if (!(error instanceof TruncatedLog)) return true
    const { key, batch } = run
    const position = BigInt(run.outcome('reopen', reason).to)
    try {
      await relocateTo(this.runtime, key, { ...batch, position }, error)
      this.runtime.log.warn({ ...key }, reason)
      return true
    } catch (failure) {
      // Opened at the same position, nobody would know any more that the log was cut.
      this.runtime.log.warn({ ...key, error: messageOf(failure) }, `could not be moved: ${reason}`)
      return false
    }
  }
}
