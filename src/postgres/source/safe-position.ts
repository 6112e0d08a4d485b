import type pg from 'pg'
import { ask } from '../client/ask.js'
import type { Tables } from '../tables/event-tables.js'

/** Milliseconds; a look-up takes one or two. */
export const lookTimeout = 10_000

export interface Look {
  /** Every event at or below it is visible to a later statement, or will never be. */
  readonly safe: bigint
  /** The last position anybody took. Greater than `safe` while somebody appends. */
  readonly taken: bigint
}

/**
 * How far partitions can be read without passing events that are not visible yet (docs/decisions/0002). One look-up serves
 * everybody who waits for one.
 */
export class SafePosition {
  /** The safe position that was seen last. It grows, unless the log is set back: then positions are given again that were safe before. */
  known = 0n
  /** The last position that the server was seen to have given. */
  taken = 0n
  /** Which server said so. */
  server = ''
  #running: Promise<Look> | undefined
  #next: Promise<Look> | undefined

  constructor(
    private readonly pool: pg.Pool,
    private readonly tables: Pick<Tables, 'safePosition' | 'logServer'>,
  ) {}

  /** The result of a look-up that begins after this call: one that has begun before may be too old to tell. */
  look(): Promise<Look> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#start()
    const after = () => {
      this.#next = undefined
      return this.#start()
    }
    this.#next = this.#running.then(after, after)
    return this.#next
  }

  #start(): Promise<Look> {
    const running = this.#query().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #query(): Promise<Look> {
    const { safePosition, logServer } = this.tables
    const statement = `select safe, taken, ${logServer}() as server from ${safePosition}()`
    type Row = { readonly safe: string; readonly taken: string; readonly server: string }
    const [row] = await ask<Row>(this.pool, statement, [], { within: lookTimeout })
    const look = { safe: BigInt(row!.safe), taken: BigInt(row!.taken) }
    this.known = look.safe
    this.taken = look.taken
    this.server = row!.server
    return look
  }
}
