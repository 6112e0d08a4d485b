import type { Payload } from '../insert.js'

export interface Row {
  readonly offset: bigint
  readonly value: Payload
}

/** Of 1,000 to 10,000 messages the quickest, by a small margin. */
const perBatch = 2_500

/** Writes what there is as soon as nothing is being written, and collects the next batch meanwhile. */
export class Batches {
  #rows: Row[] = []
  #writing: Promise<void> | null = null
  /** Lets the client go on once the batch that is full is being written. */
  #room: (() => void) | null = null

  /** @param write rejects to end the process: nobody reads on behind a batch that was not written */
  constructor(private readonly write: (rows: readonly Row[]) => Promise<void>) {}

  /** Returns a promise where more may not be taken yet; the client waits for it before it asks the broker for more. */
  add(row: Row): Promise<void> | undefined {
    this.#rows.push(row)
    this.#writing ??= this.#writeAll()
    if (this.#rows.length < perBatch) return undefined
    return new Promise((resolve) => {
      this.#room = resolve
    })
  }

  async #writeAll(): Promise<void> {
    // What came with the first message goes with it.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#rows.length > 0) {
      const rows = this.#rows
      this.#rows = []
      this.#room?.()
      this.#room = null
      await this.write(rows)
    }
    this.#writing = null
  }
}
