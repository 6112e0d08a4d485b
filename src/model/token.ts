/**
 * Orders everyone who ever wrote for a partition. `epoch` grows whenever a slice takes ownership of the partition and at each
 * reset, `batch` with each batch of the partition, `attempt` with each try of that batch by Temporal.
 * A writer is allowed only while no greater token has been claimed.
 */
export interface FencingToken {
  readonly epoch: number
  readonly batch: number
  readonly attempt: number
}

/** Negative when `a` is older than `b`, positive when it is newer, 0 when they are the same writer. */
export function compareTokens(a: FencingToken, b: FencingToken): number {
  return a.epoch - b.epoch || a.batch - b.batch || a.attempt - b.attempt
}

/** `7.12.1`: epoch, batch, attempt. */
export function describeToken(token: FencingToken): string {
  return `${token.epoch}.${token.batch}.${token.attempt}`
}
