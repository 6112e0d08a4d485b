import { setTimeout as sleep } from 'node:timers/promises'
import type { Interrupt } from './interrupt.js'

/** A call of a handler that lasts longer than this does not hold up the end of its neighbours' batch, ms. */
export const quickMs = 250

/** What the end of a batch has to know of a partition in it. */
export interface Closable {
  /** When the chunk in hand was given to the handler, by `performance.now()`; null where none is. */
  readonly handlingSince: number | null
  /** One call of its handler has outlasted the batch of its neighbours. */
  slow: boolean
  readonly interrupt: Interrupt
}

/**
 * How the partitions of a batch come to their end together.
 *
 *   open     it has not ended: partitions read, handle, and wait at the tail of the log
 *   closing  it is full or old or quiet, or has to let go: no new chunk is started, and each partition stops at its boundary
 *   held     a call of a handler has lasted longer than `quickMs` since: the others go on, the slow one leaves the batch after that
 *            call, and then the batch is closing again
 *   closed   every partition is out of it
 */
export class Closing<P extends Closable> {
  #why: 'more' | 'rest' | 'released' | null = null
  #since = 0
  readonly #live: Set<P>
  readonly #released = new Set<P>()
  /** Partitions that have stopped at a boundary, and wait for a neighbour in a call of its handler. */
  readonly #boundary = new Set<P>()

  constructor(partitions: Iterable<P>) {
    this.#live = new Set(partitions)
  }

  /** The partitions that are in the batch. */
  get live(): ReadonlySet<P> {
    return this.#live
  }

  /** Null as long as the batch is open. */
  get why(): 'more' | 'rest' | 'released' | null {
    return this.#why
  }

  /** Whether any partition is in a call of its handler. */
  get isHandling(): boolean {
    return [...this.#live].some(({ handlingSince }) => handlingSince !== null)
  }

  /** How long a batch that is closing waits for calls of handlers, ms. */
  get graceMs(): number {
    return Math.max(0, this.#since + quickMs - performance.now())
  }

  /** Returns whether that was news. */
  close(why: 'more' | 'rest' | 'released'): boolean {
    if (this.#why === 'released' || this.#why === why) return false
    this.#why = why
    this.#stop()
    return true
  }

  /** The partition is to be let go, and its neighbours go on. */
  release(partition: P): void {
    this.#released.add(partition)
    partition.interrupt.fire()
  }

  /** Whether the partition, or the whole batch, was asked to let go. */
  letsGo(partition: P): boolean {
    return this.#released.has(partition) || this.#why === 'released'
  }

  /** Whether the partition is to begin no other chunk. */
  stops(partition: P): boolean {
    return this.#released.has(partition) || (this.#why !== null && !this.#held)
  }

  /** Whether the partition ends here. Where the batch closes, it waits a little for neighbours that are in a call of their handler. */
  async boundaryOf(partition: P): Promise<'more' | 'rest' | 'released' | 'slow' | null> {
    for (;;) {
      if (this.letsGo(partition)) return 'released'
      if (partition.slow) return 'slow'
      if (!this.stops(partition)) return null
      if (!this.isHandling) return this.#why
      const left = this.graceMs
      if (left > 0) {
        this.#boundary.add(partition)
        await partition.interrupt.or(sleep(left, undefined, { ref: false }))
        this.#boundary.delete(partition)
      } else {
        // All of them began before the batch was closing: they are too slow for their neighbours, which go on now.
        for (const other of this.#live) if (other.handlingSince !== null) other.slow = true
      }
    }
  }

  /** Those that wait at a boundary look again whether they go on, or end. */
  wakeBoundary(): void {
    for (const partition of this.#boundary) partition.interrupt.fire()
  }

  /** The partition is out of the batch. */
  remove(partition: P): void {
    const wasLive = this.#live.delete(partition)
    if (partition.slow && wasLive && this.#why && !this.#held) this.#stop()
    else this.wakeBoundary()
  }

  /** Waits after a failure. Where the partition is to stop, neighbours may be waiting for it: it waits `most` ms then. */
  async wait(partition: P, ms: number, most: () => number): Promise<void> {
    const until = performance.now() + ms
    for (;;) {
      const rest = until - performance.now()
      const left = this.stops(partition) ? Math.min(rest, most()) : rest
      if (left <= 0) return
      await partition.interrupt.or(sleep(left, undefined, { ref: false }))
    }
  }

  /** Whether a slow partition has still to leave. Until then its neighbours go on. */
  get #held(): boolean {
    return this.#why !== 'released' && [...this.#live].some(({ slow }) => slow)
  }

  /** From now on, partitions are to stop at their boundaries. */
  #stop(): void {
    this.#since = performance.now()
    for (const partition of this.#live) partition.interrupt.fire()
  }
}
