/* What goes into an output. */

/** A message on its way out. */
export interface OutputRecord {
  readonly topic: string
  /** Chosen by the key when absent. */
  readonly partition?: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}
