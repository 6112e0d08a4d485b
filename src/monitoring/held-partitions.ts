import { pauseBefore, type WatchedSlice } from '../../activities/index.js'
import type { PartitionBatch, PartitionOutcome } from '../model/batch.js'
import type { Condition } from '../model/condition.js'
import type { RetrySettings } from '../model/settings.js'
import { dateOf } from '../model/times.js'
import type { Chunk } from '../ports/index.js'

/** Between two batches nobody has a partition. This long after a batch, ms, another worker has taken it. */
const betweenBatches = 5_000
/** A head that nothing has confirmed for so long, ms, is not shown any more. */
const headKeeps = 300_000

/** What this worker knows of one partition now. Null where it does not know. */
export interface PartitionView {
  readonly partition: number
  readonly condition: Condition
  readonly position: bigint | null
  readonly head: bigint | null
  /** For how long the next message has been waiting to be handled, ms; 0 where there is none. */
  readonly lagMs: number | null
}

interface Held {
  /** Batches of this worker that have it. */
  batches: number
  replay: number
  condition: Condition
  position: bigint | null
  head: bigint | null
  /** When the head was seen, by `performance.now()`. */
  headAt: number
  /** When the message at the position was written, ms since 1970; at the latest, where only the one before it is known. */
  written: number | null
  /** What it waits for before the next try, ms. */
  pause: number
  /** It is shown until then, by `performance.now()`. */
  until: number
  /** When it was blocked or fenced, ms since 1970. */
  stoppedAt: number
}

/**
 * The partitions whose state this worker may show, which is a matter of who has a partition:
 *
 *   worked   a batch has it                              shown as long as that lasts
 *   between  its batch has ended, with more to come      shown for 5 s: by then it has a batch here, or another worker shows it
 *   retrying its batch has failed                        the same, after the pause before the next try
 *   stopped  blocked or fenced                           shown until its slice says otherwise (see `BackgroundLooks`)
 *   gone     let go, or finished                         not shown
 *
 * And where the group's poll is here: the partitions that rest, and those that are stopped, of all slices.
 */
export class HeldPartitions {
  readonly #held = new Map<number, Held>()
  readonly #watched = new Map<number, WatchedSlice>()

  constructor(private readonly retry: RetrySettings) {}

  began(partitions: readonly PartitionBatch[]): void {
    for (const { partition, from, replay } of partitions) {
      const held = this.#of(partition)
      const position = BigInt(from)
      // A batch that is tried again begins where its progress is, ahead of its plan.
      if (held.position === null || replay > held.replay || position > held.position) moveTo(held, position)
      held.replay = replay
      held.batches++
      held.until = Number.POSITIVE_INFINITY
      if (isStopped(held)) held.condition = 'healthy'
    }
  }

  left(partition: number, end: PartitionOutcome['end'] | null): void {
    const held = this.#held.get(partition)
    if (!held) return
    held.batches--
    if (held.batches > 0 || isStopped(held)) return
    if (end === 'released' || end === 'finished') this.#held.delete(partition)
    const pause = end === 'failed' || end === null ? held.pause : 0
    held.until = performance.now() + pause + betweenBatches
  }

  took(partition: number, chunk: Chunk): void {
    const held = this.#of(partition)
    moveTo(held, chunk.from)
    see(held, chunk.head)
    held.written = known(chunk.messages[0]?.timestamp ?? chunk.poison?.timestamp) ?? held.written
  }

  handled(partition: number, { from, next, head, messages, poison }: Chunk): void {
    const held = this.#of(partition)
    held.position = next
    see(held, head)
    // Of a next message that is there only this is known: it was written later than the one before it.
    if (next >= held.head!) held.written = null
    else if (next > from) held.written = known(messages.at(-1)?.timestamp) ?? held.written
    if (poison) held.written = known(poison.timestamp) ?? held.written
    if (next > from) held.condition = 'healthy'
  }

  failed(partition: number, { offset, attempt }: { readonly offset: bigint | null; readonly attempt: number }): void {
    const held = this.#of(partition)
    held.condition = 'retrying'
    held.pause = pauseBefore(attempt + 1, this.retry)
    if (offset !== null) moveTo(held, offset)
    if (held.batches === 0) held.until = performance.now() + held.pause + betweenBatches
  }

  blocked(partition: number, offset: bigint | null): void {
    const held = this.#stop(partition, 'blocked')
    if (offset !== null) moveTo(held, offset)
  }

  /** Another owner has it, and its position is known there. */
  fenced(partition: number): void {
    const held = this.#stop(partition, 'fenced')
    held.position = held.head = held.written = null
  }

  watched(slice: number, seen: WatchedSlice | null): void {
    if (seen) this.#watched.set(slice, seen)
    else this.#watched.delete(slice)
  }

  /** A partition's head, as its log says it now. */
  sawHead(partition: number, head: bigint): void {
    const held = this.#held.get(partition)
    if (!held) return
    held.head = head
    held.headAt = performance.now()
  }

  /** Partitions that are shown, whose head was last seen so long ago, ms. */
  headsOlderThan(ms: number): number[] {
    const now = performance.now()
    return this.#shown().flatMap(([partition, held]) =>
      held.condition !== 'fenced' && held.headAt < now - ms ? [partition] : [],
    )
  }

  /** Partitions that no batch has, and that were blocked or fenced so long ago, ms; with the time when they were, ms since 1970. */
  stoppedFor(ms: number): ReadonlyMap<number, number> {
    const before = Date.now() - ms
    const stopped = this.#shown().filter(
      ([, held]) => isStopped(held) && held.batches === 0 && held.stoppedAt <= before,
    )
    return new Map(stopped.map(([partition, { stoppedAt }]) => [partition, stoppedAt]))
  }

  /** A stopped partition is no affair of this worker any more. */
  drop(partition: number): void {
    const held = this.#held.get(partition)
    if (held?.batches === 0 && isStopped(held)) this.#held.delete(partition)
  }

  views(): PartitionView[] {
    const views = new Map(this.#shown().map(([partition, held]) => [partition, viewOf(partition, held)]))
    const add = (view: PartitionView) => void (views.has(view.partition) || views.set(view.partition, view))
    for (const { rest, stopped = [] } of this.#watched.values()) {
      const unknown = { position: null, head: null, lagMs: null }
      for (const { partition, condition } of stopped) add({ partition, condition, ...unknown })
      for (const [partition, [position]] of Object.entries(rest?.partitions ?? {})) {
        const [at, condition] = [BigInt(position), 'healthy' as const]
        add({ partition: Number(partition), condition, position: at, head: at, lagMs: 0 })
      }
    }
    return [...views.values()]
  }

  #shown(): [number, Held][] {
    const now = performance.now()
    for (const [partition, held] of this.#held) if (held.until <= now) this.#held.delete(partition)
    return [...this.#held]
  }

  #stop(partition: number, condition: 'blocked' | 'fenced'): Held {
    const held = this.#of(partition)
    held.condition = condition
    held.stoppedAt = Date.now()
    held.until = Number.POSITIVE_INFINITY
    return held
  }

  #of(partition: number): Held {
    const there = this.#held.get(partition)
    if (there && there.until > performance.now()) return there
    const held: Held = {
      batches: 0,
      replay: -1,
      condition: 'healthy',
      position: null,
      head: null,
      headAt: Number.NEGATIVE_INFINITY,
      written: null,
      pause: 0,
      until: performance.now() + betweenBatches,
      stoppedAt: 0,
    }
    this.#held.set(partition, held)
    return held
  }
}

function isStopped({ condition }: Held): boolean {
  return condition === 'blocked' || condition === 'fenced'
}

function moveTo(held: Held, position: bigint): void {
  if (held.position !== position) held.written = null
  held.position = position
}

/** A fetch may be older than what was seen since. */
function see(held: Held, head: bigint): void {
  if (held.head !== null && head < held.head) return
  held.head = head
  held.headAt = performance.now()
}

/** Logs write -1 or 0 for a time that they don't know. */
function known(time: number | undefined): number | null {
  return time === undefined ? null : (dateOf(time)?.getTime() ?? null)
}

function viewOf(partition: number, { condition, position, written, ...held }: Held): PartitionView {
  const head = performance.now() - held.headAt > headKeeps ? null : held.head
  return { partition, condition, position, head, lagMs: lagOf(position, head, written) }
}

function lagOf(position: bigint | null, head: bigint | null, written: number | null): number | null {
  if (position !== null && head !== null && head <= position) return 0
  return written === null || position === null ? null : Math.max(0, Date.now() - written)
}
