import type { Chunk, Message } from '../../src/ports/index.js'

/** Messages `[from, to)` of the chunk, by index. */
interface Range {
  readonly from: number
  readonly to: number
  /** What is in front of it was good, so what made both fail together is in here. */
  readonly isBad: boolean
  /** It failed already, alone. */
  readonly failed?: unknown
}

/**
 * The pieces in which a chunk is handled, in their order: the whole of it, as long as nothing fails. One that fails is halved, until the
 * message is alone that makes it fail; what is behind is tried as large as it was cut. Looking for one message among n takes some 2 log2 n pieces.
 */
export class Pieces {
  /** Still to be handled, the last one first. */
  readonly #left: Range[]
  #current: Range | null = null

  /**
   * @param first how many messages the first piece has; all when absent
   * @param size most messages of any piece
   */
  constructor(
    private readonly whole: Chunk,
    { first, size = Number.POSITIVE_INFINITY }: { readonly first?: number; readonly size?: number } = {},
  ) {
    const { length } = whole.messages
    const cuts: Range[] = []
    let from = 0
    if (first !== undefined && first < length) {
      cuts.push({ from: 0, to: first, isBad: false })
      from = first
    }
    for (; length - from > size; from += size) cuts.push({ from, to: from + size, isBad: false })
    cuts.push({ from, to: length, isBad: false })
    this.#left = cuts.reverse()
  }

  /** Whether the piece in hand is the last one. */
  get isLast(): boolean {
    return this.#left.length === 0
  }

  /** The next piece; null where the chunk is handled. `failed` is set where it is one message that is known to have failed. */
  next(): { readonly chunk: Chunk; readonly failed?: unknown } | null {
    let range = this.#left.pop()
    while (range?.isBad && range.to - range.from > 1) {
      this.#halve(range)
      range = this.#left.pop()
    }
    this.#current = range ?? null
    if (!range) return null
    return { chunk: this.#cut(range), ...('failed' in range ? { failed: range.failed } : {}) }
  }

  /** The piece in hand failed and is halved. Only one of several messages can be. */
  split(): void {
    const range = this.#current!
    // It is not known any more that what is behind it is bad: this one was.
    const behind = this.#left.pop()
    if (behind) this.#left.push({ ...behind, isBad: false })
    this.#halve(range)
  }

  /** The piece in hand is to be handled again, as it is. */
  again(): void {
    this.#left.push(this.#current!)
  }

  /**
   * Of the piece in hand it is known which messages failed: each of them becomes a piece of its own, and what is between them, too.
   *
   * @param error what they failed with; absent where they are to be tried again
   */
  isolate(offsets: ReadonlySet<bigint>, error?: unknown): void {
    const { from, to } = this.#current!
    const ranges: Range[] = []
    let start = from
    for (let index = from; index < to; index++) {
      if (!offsets.has(this.whole.messages[index]!.offset)) continue
      if (index > start) ranges.push({ from: start, to: index, isBad: false })
      ranges.push({ from: index, to: index + 1, isBad: false, ...(error === undefined ? {} : { failed: error }) })
      start = index + 1
    }
    if (start < to) ranges.push({ from: start, to, isBad: false })
    this.#left.push(...ranges.reverse())
  }

  #halve({ from, to }: Range): void {
    const middle = from + Math.ceil((to - from) / 2)
    this.#left.push({ from: middle, to, isBad: true }, { from, to: middle, isBad: false })
  }

  /** What the last piece of the chunk leaves behind itself, a gap for instance, belongs to it. */
  #cut({ from, to }: Range): Chunk {
    const { whole } = this
    const { messages, head, bytes } = whole
    if (from === 0 && to === messages.length) return whole
    const mine: readonly Message[] = messages.slice(from, to)
    const isLast = to === messages.length
    return {
      from: from === 0 ? whole.from : messages[from - 1]!.offset + 1n,
      next: isLast ? whole.next : mine.at(-1)!.offset + 1n,
      messages: mine,
      bytes: Math.ceil((bytes * mine.length) / messages.length),
      head,
      raw: (message) => whole.raw(message),
      ...(isLast && whole.witness !== undefined ? { witness: whole.witness } : {}),
      release: () => {},
    }
  }
}
