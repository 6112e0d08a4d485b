import type { ChunkLimits } from '../../src/model/settings.js'

/** Messages of a chunk before anything is known of the handler. */
const firstMessages = 100
/** Larger chunks are worth it where a message takes so many times less in them. */
const pays = 1.2
/** Smaller chunks are worth it where a message takes no more than so many times what it takes in larger ones. */
const holds = 1.15
/** A handler that takes so many times more or less than before has changed: what other sizes took says nothing any more. */
const change = 2
/** Weight of the last chunk among those of its size. */
const weight = 0.3
/** What a size took says nothing after so long, ms, and after the time of so many chunks. */
const [forgetAfterMs, forgetAfterChunks] = [300_000, 100]

/** The level of chunks of one message. */
const lowestLevel = Math.ceil(Math.log2(0.5 / firstMessages))

interface Measured {
  readonly msPerMessage: number
  readonly until: number
}

/**
 * How many messages a handler gets in one call, learned from the time that its calls take. Sizes are `firstMessages`, doubled or halved
 * some times: the level of a size says how often.
 *
 * - A chunk that takes half the target or less is followed by larger ones: twice as large, or by as many doublings as bring it to half
 *   the target.
 * - One that takes longer than the target is followed by smaller ones, as long as throughput holds. Where it does not, as with a bulk
 *   insert, chunks stay as large as they are.
 * - Between the two, a single chunk of twice the size tells whether larger ones have a better throughput. Then they stay large, also
 *   beyond the target. What was tried is tried again after a while.
 *
 * Failed chunks, and those that held less than was asked for because the log had no more, don't count.
 */
export class ChunkSize {
  readonly #highest: number
  readonly #measured = new Map<number, Measured>()
  #level: number

  constructor(
    private readonly limits: ChunkLimits,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.#highest = lowestLevel
    while (this.#sizeOf(this.#highest) < limits.maxMessages) this.#highest++
    this.#level = Math.min(0, this.#highest)
  }

  /** Messages to ask for now, at the most. */
  get messages(): number {
    return this.limits.targetMs === null ? this.limits.maxMessages : this.#sizeOf(this.#level)
  }

  /**
   * A chunk was handled.
   *
   * @param full whether it held as many messages as were asked for, or as many bytes as a fetch brings
   */
  handled(messages: number, ms: number, full: boolean): void {
    const { targetMs } = this.limits
    if (targetMs === null || messages === 0 || !full) return
    const level = this.#levelOf(messages)
    this.#note(level, ms / messages)
    const isSmaller = level < this.#level
    // Asked for before the size has changed. But what a small chunk takes too long for, a large one does all the more.
    if (level > this.#level || (isSmaller && ms <= targetMs)) return
    this.#level = this.#after(level, targetMs)
  }

  /** The level to go on with after a chunk of this level. */
  #after(level: number, targetMs: number): number {
    const cost = this.#costOf(level)!
    const ms = cost * this.#sizeOf(level)
    const above = this.#leastCostAbove(level)
    // Step by step: what was measured above may take far longer than the target.
    if (above * pays < cost) return level + 1
    if (ms <= targetMs / 2) {
      const most = level + Math.max(1, Math.floor(Math.log2(targetMs / 2 / Math.max(ms, 0.1))))
      for (let next = Math.min(most, this.#highest); next > level; next--)
        if ((this.#costOf(next) ?? 0) * this.#sizeOf(next) <= targetMs) return next
    }
    const isUnknown = level < this.#highest && above === Number.POSITIVE_INFINITY
    // Perhaps the call takes the time, and not its messages: one larger chunk tells.
    if (ms <= targetMs) return isUnknown ? level + 1 : level
    const least = level - Math.max(1, Math.round(Math.log2(ms / targetMs)))
    for (let below = Math.max(least, lowestLevel); below < level; below++)
      if ((this.#costOf(below) ?? 0) <= Math.min(cost, above) * holds) return below
    // No smaller ones are worth it.
    return isUnknown ? level + 1 : level
  }

  /** Infinite where nothing is known. */
  #leastCostAbove(level: number): number {
    let least = Number.POSITIVE_INFINITY
    for (let above = level + 1; above <= this.#highest; above++)
      least = Math.min(least, this.#costOf(above) ?? Number.POSITIVE_INFINITY)
    return least
  }

  /** What a message takes in chunks of this level, ms; undefined where that is not known. */
  #costOf(level: number): number | undefined {
    const measured = this.#measured.get(level)
    return measured && this.clock() < measured.until ? measured.msPerMessage : undefined
  }

  #note(level: number, msPerMessage: number): void {
    const before = this.#measured.get(level)?.msPerMessage
    const changed = before !== undefined && (msPerMessage > before * change || msPerMessage * change < before)
    if (changed) this.#measured.clear()
    for (const above of this.#measured.keys()) {
      const ms = (this.#costOf(above) ?? 0) * this.#sizeOf(above)
      // A smaller chunk that takes longer than a larger one did tells of a change, too.
      if (above > level && msPerMessage * this.#sizeOf(level) > ms * change) this.#measured.delete(above)
    }
    const known = this.#costOf(level)
    const mean = known === undefined ? msPerMessage : known + (msPerMessage - known) * weight
    const forgetMs = Math.max(forgetAfterMs, forgetAfterChunks * mean * this.#sizeOf(level))
    this.#measured.set(level, { msPerMessage: mean, until: this.clock() + forgetMs })
  }

  #levelOf(messages: number): number {
    if (messages >= this.limits.maxMessages) return this.#highest
    return Math.max(lowestLevel, Math.min(this.#highest, Math.round(Math.log2(messages / firstMessages))))
  }

  #sizeOf(level: number): number {
    return Math.max(1, Math.min(this.limits.maxMessages, Math.round(firstMessages * 2 ** level)))
  }
}
