import type {
  ActivitySlotInfo,
  CustomSlotSupplier,
  SlotMarkUsedContext,
  SlotPermit,
  SlotReleaseContext,
  SlotReserveContext,
} from '@temporalio/worker'

/** A worker at its share that has no poll open starts one after this long, ms. */
const spareAfterMs = 1_000
/** A batch that has waited this long, ms, found no worker polling; others may be waiting, too. */
const longWaitMs = 500
/** Temporal ends a poll after about a minute. A slot that has been polling for longer, ms, was lost on its way, and counts no more. */
const longestPollMs = 120_000

/** What the workers of a group share. */
export interface Sharing {
  /** Null where the group has not said yet. */
  readonly slices: number | null
  /** Workers that poll for the group's batches, this one included. */
  readonly workers: number
}

/**
 * The batches that a worker takes at the same time. A worker alone takes all. Each of many takes a little more than its part, so that
 * there is a free slot somewhere for a batch of a partition that is worked apart.
 */
export function shareOf({ slices, workers }: Sharing): number {
  if (slices === null || workers <= 1) return Number.POSITIVE_INFINITY
  const part = Math.ceil(slices / workers)
  return part + Math.max(1, Math.floor(part / 8))
}

interface Slot extends SlotPermit {
  working: boolean
  readonly grantedAt: number
}

/**
 * The slots of a worker for batches of one consumer. Temporal hands a batch to any worker that polls; so a worker shares by not polling
 * for more than its share. A slot is
 *
 *   wanted   the SDK asks for a slot, to poll with it
 *   polling  the worker polls with it, and takes whichever batch comes
 *   working  it has a batch
 *
 *   wanted  -> polling  the worker has less than its share of slots that are polling or working; or it polls with none for a second:
 *                       this poll is its spare one
 *   polling -> working  a batch came
 *   polling, working    end when the poll came back empty, or the batch has ended
 *
 * A share is only a guess: a worker that is gone looks alive for a minute. So no batch depends on it. The spare poll takes a batch that
 * nobody else takes, and when that batch has had to wait, the next spare poll follows at once. One spare poll against the many free ones
 * of a worker below its share does not tip the balance.
 */
export class FairSlots implements CustomSlotSupplier<ActivitySlotInfo> {
  readonly type = 'custom'
  readonly #slots = new Set<Slot>()
  readonly #wanted: (() => void)[] = []
  /** Until the first look has answered there are spare polls only. */
  #share = 0
  #looking = false
  #lookedAt = Number.NEGATIVE_INFINITY
  /** Since when the worker polls with no slot. */
  #quietSince = performance.now()
  /** What a batch takes that waits for nobody, with the difference of the clocks. */
  #leastWait = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  /** @param lookEveryMs how long an answer of `look` is good for, ms; it is asked for no more often */
  constructor(
    private readonly look: () => Promise<Sharing>,
    private readonly lookEveryMs: number,
  ) {}

  reserveSlot(_: SlotReserveContext, signal: AbortSignal): Promise<SlotPermit> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const grant = () => {
        signal.removeEventListener('abort', leave)
        const slot: Slot = { working: false, grantedAt: performance.now() }
        this.#slots.add(slot)
        resolve(slot)
      }
      const leave = () => {
        this.#wanted.splice(this.#wanted.indexOf(grant), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#wanted.push(grant)
      this.#serve()
    })
  }

  /** Eager batches would go to the worker that has them already. */
  tryReserveSlot(): null {
    return null
  }

  markSlotUsed({ permit }: SlotMarkUsedContext<ActivitySlotInfo>): void {
    const slot = permit as Slot
    slot.working = true
    this.#left()
  }

  releaseSlot({ permit }: SlotReleaseContext<ActivitySlotInfo>): void {
    this.#slots.delete(permit as Slot)
    this.#left()
  }

  /**
   * Tells how long a batch has waited for a worker.
   *
   * @param ms from Temporal's time when it was scheduled to the time here now: the difference of the two clocks is in it
   */
  waited(ms: number): void {
    this.#leastWait = Math.min(this.#leastWait, ms)
    if (ms - this.#leastWait < longWaitMs) return
    this.#quietSince = Number.NEGATIVE_INFINITY
    this.#serve()
  }

  /** A slot has left the polling ones, perhaps. */
  #left(): void {
    if (this.#polling() === 0) this.#quietSince = performance.now()
    this.#serve()
  }

  #serve(): void {
    this.#refresh()
    while (this.#wanted.length > 0 && this.#mayPoll()) this.#wanted.shift()!()
    if (this.#wanted.length === 0 || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#serve()
    }, spareAfterMs).unref()
  }

  #mayPoll(): boolean {
    const polling = this.#polling()
    const working = [...this.#slots].filter((slot) => slot.working).length
    if (polling + working < this.#share) return true
    return polling === 0 && performance.now() - this.#quietSince >= spareAfterMs
  }

  #polling(): number {
    const since = performance.now() - longestPollMs
    return [...this.#slots].filter(({ working, grantedAt }) => !working && grantedAt > since).length
  }

  /** Looks again where the last answer is old. What can't be seen stays as it was. */
  #refresh(): void {
    if (this.#looking || performance.now() - this.#lookedAt < this.lookEveryMs) return
    this.#looking = true
    this.#lookedAt = performance.now()
    this.look()
      .then((sharing) => {
        this.#share = shareOf(sharing)
      })
      .catch(() => {})
      .finally(() => {
        this.#looking = false
        this.#serve()
      })
  }
}
