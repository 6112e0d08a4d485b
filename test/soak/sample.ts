/** What the worker's process holds at one moment, right after a garbage collection: numbers by name. */
export interface Sample {
  /** Bytes. */
  readonly memory: Readonly<Record<string, number>>
  /** How many of each. */
  readonly counts: Readonly<Record<string, number>>
  /** Messages that each busy group has handled so far. */
  readonly handled: Readonly<Record<string, number>>
}
