import type { Chunk } from '../../src/ports/index.js'

/** Chunks with messages in a row that end before the head: so many mean that a partition has fallen behind again. */
const chunksBehind = 2

interface Tail {
  readonly epoch: number
  readonly replay: number
  behind: boolean
  /** Chunks in a row that ended before the head. */
  short: number
}

/**
 * Decides when a partition has caught up. The head is the one that the log named when the chunk was fetched.
 *
 * - `behind`    from its first message under an epoch and replay; and once two chunks in a row have ended before the head
 * - `caught up` a chunk has ended at the head
 *
 * So messages that come one by one at the head change nothing, and a partition opened at the head never was behind.
 */
export class CatchUp {
  readonly #tails = new Map<number, Tail>()

  /** Takes note of a chunk that was handled. Returns whether the partition was behind, and has caught up with this chunk. */
  handled(
    { partition, epoch, replay }: { readonly partition: number; readonly epoch: number; readonly replay: number },
    { messages, next, head }: Pick<Chunk, 'messages' | 'next' | 'head'>,
  ): boolean {
    let tail = this.#tails.get(partition)
    if (tail?.epoch !== epoch || tail.replay !== replay) {
      if (messages.length === 0) return false
      tail = { epoch, replay, behind: true, short: 0 }
      this.#tails.set(partition, tail)
    }
    if (next < head) {
      if (messages.length > 0) tail.short++
      if (tail.short >= chunksBehind) tail.behind = true
      return false
    }
    const { behind } = tail
    tail.behind = false
    tail.short = 0
    return behind
  }
}
