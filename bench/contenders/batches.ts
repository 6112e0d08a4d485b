import type { Payload } from '../insert.js'

export interface Row {
  readonly offset: bigint
  readonly value: Payload
}

/** Of 1,000 to 10,000 messages the quickest, by a small margin. */
const perBatch = 2_500
/** No message waits longer for others, ms. */
const longest = 100

/** Collects messages and writes them batch after batch: the next one is collected while the last one is written. */
export class Batches {
  #rows: Row[] = []
  #writing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  /** @param write rejects to end the process: nobody reads on behind a batch that was not written */
  constructor(private readonly write: (rows: readonly Row[]) => Promise<void>) {}

  /** Returns a promise where more may not be taken yet; the client waits for it before it asks the broker for more. */
  add(row: Row): Promise<void> | undefined {
    this.#rows.push(row)
    if (this.#rows.length >= perBatch) return this.#flush()
    this.#timer ??= setTimeout(() => void this.#flush(), longest)
    return undefined
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const rows = this.#rows
    this.#rows = []
    const before = this.#writing
    this.#writing = before.then(() => this.write(rows))
    await before
  }
}
