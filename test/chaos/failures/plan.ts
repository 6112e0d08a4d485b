/** How a run of failures goes. */
export interface FailurePlan {
  readonly brokers: readonly string[]
  readonly temporal: { readonly address: string; readonly namespace: string }
  readonly messages: number
  readonly keys: number
  readonly partitions: number
  /** Messages that a worker is lost at, or that take all of their time, of each kind. */
  readonly heavy: number
  readonly workers: number
  readonly faults: number
  readonly seed: number
  readonly heartbeatMs: number
  /** How long the service is away, ms, and the letters are locked. */
  readonly serviceAwayMs: number
  readonly lockMs: number
  /** How long another fault lasts that lasts: random between these, ms. */
  readonly lastsMs: readonly [least: number, most: number]
  /** How often a worker is killed during the redrive. */
  readonly redriveKills: number
  readonly timeoutMs: number
  readonly say: (text: string) => void
}
