/**
 * Where a group begins on a partition for which nothing is stored yet.
 *
 * - `first`     the oldest message the log still has
 * - `last`      the newest message there is now (or the next one, when the partition is empty)
 * - `next`      only messages that arrive from now on
 * - `offset`    exactly there
 * - `timestamp` the first message written at or after this time
 */
export type StartSpec =
  | 'first'
  | 'last'
  | 'next'
  | { readonly offset: bigint }
  | { /** Milliseconds since 1970. */ readonly timestamp: number }
