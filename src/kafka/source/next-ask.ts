import type { Ask } from './ask.js'

/** Bytes asked for while a partition has nothing new: many partitions wait at the same time. A larger batch comes whole anyway. */
const tailBytes = 64 * 1024
/** Bytes of a reader's first fetch: the handler has its first chunk early, and the log and the handler soon work side by side. */
const firstBytes = 512 * 1024

/** What a reader asks for next, by what the answers so far have told of its partition. */
export class NextAsk {
  /** How far the partition can be read, as last known. */
  #end: bigint | null = null
  #bytes: number
  /** The last answer was empty, though the partition goes on. */
  #missed = false

  constructor(private readonly fetchBytes: number) {
    this.#bytes = fetchBytes
  }

  /** The position has moved: what the last one was too large for is behind it. */
  begin(): void {
    this.#bytes = this.fetchBytes
    this.#missed = false
  }

  maxBytes(from: bigint): number {
    if (this.#end === null) return Math.min(firstBytes, this.#bytes)
    return from >= this.#end ? Math.min(tailBytes, this.fetchBytes) : this.#bytes
  }

  expects(from: bigint): Ask['expects'] {
    if (this.#end === null) return 'unseen'
    if (from >= this.#end) return 'nothing'
    return this.#missed ? 'missed' : 'more'
  }

  /** @param end how far the partition can be read */
  answered(end: bigint): void {
    this.#end = end
  }

  /**
   * The answer held no whole batch. The broker sends a first batch whole since KIP-74; an old one cuts it, and has to be asked
   * for more.
   *
   * @param rest bytes of the batch that was cut, or 0
   */
  cameEmpty(from: bigint, rest: number): void {
    this.#missed = this.#end !== null && from < this.#end
    if (rest > 0) this.#bytes = Math.max(this.#bytes, rest) * 2
  }
}
