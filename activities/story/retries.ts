/** Pause before a partition that goes on failing is mentioned again, ms. It doubles each time, up to the second number. */
const [firstPause, longestPause] = [60_000, 3_600_000]
/** Kinds of errors that are mentioned at once within one trouble. */
const mostKinds = 5

/** One partition's failures in a row. */
interface Trouble {
  readonly since: number
  tries: number
  /** Where the last try began. */
  offset: bigint
  mentionAt: number
  pause: number
  readonly kinds: Set<string>
  readonly ids: Set<string>
}

/** What is to be said of a failure; null: nothing. */
export type Mention = { readonly again: boolean; readonly tries: number; readonly ms: number } | null

/**
 * How often the failures of partitions are mentioned: the first one at once, then after 1, 2, 4 ... minutes, an hour at the most. Another
 * kind of error is mentioned at once, and so is an ID that people may search the log for.
 */
export class Retries {
  readonly #troubles = new Map<number, Trouble>()

  failed(partition: number, offset: bigint, kind: string, errorId: string | undefined): Mention {
    const now = performance.now()
    let trouble = this.#troubles.get(partition)
    const again = trouble !== undefined
    if (!trouble) {
      trouble = { since: now, tries: 0, offset, mentionAt: now, pause: firstPause, kinds: new Set(), ids: new Set() }
      this.#troubles.set(partition, trouble)
    }
    trouble.tries++
    trouble.offset = offset
    const isNews = !trouble.kinds.has(kind) && trouble.kinds.size < mostKinds
    const isSought = errorId !== undefined && !trouble.ids.has(errorId)
    const isDue = now >= trouble.mentionAt
    if (!isDue && !isNews && !isSought) return null
    trouble.kinds.add(kind)
    if (errorId !== undefined) remember(trouble.ids, errorId)
    if (isDue) {
      trouble.mentionAt = now + trouble.pause
      trouble.pause = Math.min(2 * trouble.pause, longestPause)
    }
    return { again, tries: trouble.tries, ms: now - trouble.since }
  }

  /** The partition has come to `next`. Returns the trouble that this ends. */
  handled(partition: number, next: bigint): { readonly tries: number; readonly ms: number } | null {
    const trouble = this.#troubles.get(partition)
    if (!trouble || next <= trouble.offset) return null
    this.#troubles.delete(partition)
    return { tries: trouble.tries, ms: performance.now() - trouble.since }
  }

  /** The partition is no affair of this worker any more. */
  forget(partition: number): void {
    this.#troubles.delete(partition)
  }
}

function remember(ids: Set<string>, id: string): void {
  // As many as its partition's errors are told apart by.
  if (ids.size >= 20) ids.clear()
  ids.add(id)
}
