/**
 * Orders everyone who ever wrote for a partition. `epoch` grows whenever a slice takes ownership of the partition and at each
 * reset, `batch` with each batch of the partition, `attempt` with each try of that batch by Temporal.
 * A writer is allowed only while no greater token has been claimed.
 *
 * A database that was set back hands the same epoch out twice. Two writers with the same three numbers are told apart by `owner`.
 */
export interface FencingToken {
  readonly epoch: number
  readonly batch: number
  readonly attempt: number
  /** A random name of the writer. */
  readonly owner?: string
}

/** Negative when `a` is older than `b`, positive when it is newer, 0 when neither is. */
export function compareTokens(a: FencingToken, b: FencingToken): number {
  return a.epoch - b.epoch || a.batch - b.batch || a.attempt - b.attempt
}

/** `7.12.1`: epoch, batch, attempt. */
export function describeToken(token: FencingToken): string {
  return `${token.epoch}.${token.batch}.${token.attempt}`
}

/** Whether both are the same writer's. */
export function isSameWriter(a: FencingToken, b: FencingToken): boolean {
  return compareTokens(a, b) === 0 && (a.owner ?? '') === (b.owner ?? '')
}
