import type { ByteLoan, Chunk } from '../../ports/index.js'
import type { ChunkDecoder } from '../../reading/chunk-decoder.js'
import type { Origin } from '../../reading/message.js'
import { decodeRows, rawAt } from './decode.js'
import { witnessOf } from './event-witness.js'
import { bytesOf, type Row } from './fetch.js'

/** The rows of one fetch, handed out as chunks. Gives its loan back as the chunks are released. */
export class Fetched<V> {
  #next = 0
  #from: bigint
  #lent: number

  constructor(
    private readonly origin: Origin,
    private readonly decoder: ChunkDecoder<V>,
    from: bigint,
    private readonly rows: readonly Row[],
    private readonly head: bigint,
    private readonly loan: ByteLoan,
  ) {
    this.#from = from
    this.#lent = rows.reduce((sum, row) => sum + bytesOf(row), 0)
  }

  /** True when nothing is left to hand out. A row that can't be decoded is left for ever. */
  get served(): boolean {
    return this.#next === this.rows.length
  }

  /** The next chunk, with `maxMessages` at the most. Values are decoded now, not when they were fetched. */
  serve(maxMessages: number): Chunk<V> {
    const some = this.rows.slice(this.#next, this.#next + maxMessages)
    const { messages, poison } = decodeRows(some, this.origin, this.decoder)
    const taken = some.slice(0, messages.length)
    const from = this.#from
    const next = poison ? some[messages.length]!.position : some.at(-1)!.position + 1n
    const bytes = taken.reduce((sum, row) => sum + bytesOf(row), 0)
    this.#next += taken.length
    this.#from = next
    const last = taken.at(-1)
    const witness = last && witnessOf(last)
    const release = once(() => this.#giveBack(bytes))
    return this.decoder.finish({
      from,
      next,
      messages,
      bytes,
      head: this.head,
      raw: ({ offset }) => rawAt(taken, offset),
      release,
      ...(witness && { witness }),
      ...(poison && { poison }),
    })
  }

  /** Gives back what no chunk has taken. */
  drop(): void {
    const left = this.rows.slice(this.#next).reduce((sum, row) => sum + bytesOf(row), 0)
    this.#next = this.rows.length
    this.#giveBack(left)
  }

  #giveBack(bytes: number): void {
    this.#lent -= bytes
    if (this.#lent > 0) this.loan.resize(this.#lent)
    else this.loan.release()
  }
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (!done) action()
    done = true
  }
}
