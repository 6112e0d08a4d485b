import type { LetterTable } from './letter-table.js'

/** What `tx.client` is in a transaction of a memory store: values written through it are kept when the transaction commits. */
export interface MemoryTransaction {
  write(value: unknown): void
}

type LetterChange = (table: LetterTable) => unknown

/** One chunk's transaction: what is done in it happens at its commit, or not at all. */
export class MemoryChunk implements MemoryTransaction {
  readonly #written: unknown[] = []
  readonly #changes: LetterChange[] = []
  /** What the transaction sees of its own changes. */
  #seen: LetterTable | undefined
  #over = false

  constructor(private readonly letters: LetterTable) {}

  /** Works without its object, as handlers may take it from there. */
  readonly write = (value: unknown): void => {
    this.#refuseLate()
    this.#written.push(value)
  }

  /** Changes letters, and returns what the change returns. */
  change<T>(change: (table: LetterTable) => T): T {
    this.#refuseLate()
    this.#seen ??= this.letters.copy()
    const result = change(this.#seen)
    this.#changes.push(change)
    return result
  }

  close(): void {
    this.#over = true
  }

  /** Throws what another one's changes meanwhile forbid; what it returns is done at the commit, and can't fail. */
  prepare(): (written: unknown[]) => void {
    const next = this.letters.copy()
    for (const change of this.#changes) change(next)
    return (written) => {
      if (this.#changes.length > 0) this.letters.replace(next)
      written.push(...this.#written)
    }
  }

  #refuseLate(): void {
    if (this.#over) throw new Error('the transaction of this chunk is over: write before the handler returns')
  }
}
