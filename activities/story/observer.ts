import type { PartitionBatch, PartitionOutcome } from '../../src/model/batch.js'
import type { SliceMemo } from '../../src/model/commands.js'
import type { PartitionKey } from '../../src/model/partition.js'
import type { PartitionObserver } from '../../src/model/partition-events.js'
import type { Chunk } from '../../src/ports/index.js'

/** What the group's poll knows of a slice: the partitions that wait for messages, and those that are stopped. */
export type WatchedSlice = Pick<SliceMemo, 'rest' | 'stopped'>

/** What has become of a message after its last try. */
export interface SetAside {
  readonly offset: bigint
  /** `set aside`, `skipped` and so on. */
  readonly how: string
  readonly tries: number
  /** What may be shown of its error. */
  readonly reason: string
}

/**
 * Hears what this worker does with the partitions of one consumer. Its methods never throw, nobody waits for what they begin, and they
 * keep nothing of a chunk: called once a chunk, so they must be cheap.
 */
export interface WorkObserver extends PartitionObserver {
  /** A batch has started on these partitions. */
  began(partitions: readonly PartitionBatch[]): void
  /** A partition has left its batch. Null: the batch has failed as a whole, and is tried again. */
  left(partition: number, end: PartitionOutcome['end'] | null): void
  /** A chunk is given to the handler. */
  took(key: PartitionKey, chunk: Chunk): void
  /** The chunk is handled, and the handler has taken so long, ms. */
  handled(key: PartitionKey, chunk: Chunk, ms: number): void
  /** The partition's offset was stored, further than before. */
  committed(key: PartitionKey): void
  /** A partition could not go on at `offset`, and is tried again. */
  failed(key: PartitionKey, error: unknown, at: { readonly offset: bigint | null; readonly attempt: number }): void
  /** A message has no try left, and does not stop its partition. */
  setAside(key: PartitionKey, message: SetAside): void
  /** So many messages that were set aside are handled. */
  redriven(key: PartitionKey, messages: number): void
  /** The group's poll is on this worker, and has seen a slice. Null: it watches the slice no more. */
  watched(slice: number, seen: WatchedSlice | null): void
}

/** Tells several observers of everything, in their order. */
export function telling(observers: readonly WorkObserver[]): WorkObserver {
  const [only, ...more] = observers
  if (only && more.length === 0) return only
  return {
    began: (partitions) => observers.forEach((one) => void one.began(partitions)),
    left: (partition, end) => observers.forEach((one) => void one.left(partition, end)),
    took: (key, chunk) => observers.forEach((one) => void one.took(key, chunk)),
    handled: (key, chunk, ms) => observers.forEach((one) => void one.handled(key, chunk, ms)),
    committed: (key) => observers.forEach((one) => void one.committed(key)),
    failed: (key, error, at) => observers.forEach((one) => void one.failed(key, error, at)),
    blocked: (event, error) => observers.forEach((one) => void one.blocked(event, error)),
    fenced: (event) => observers.forEach((one) => void one.fenced(event)),
    caughtUp: (event) => observers.forEach((one) => void one.caughtUp(event)),
    setAside: (key, message) => observers.forEach((one) => void one.setAside(key, message)),
    redriven: (key, messages) => observers.forEach((one) => void one.redriven(key, messages)),
    watched: (slice, seen) => observers.forEach((one) => void one.watched(slice, seen)),
  }
}
