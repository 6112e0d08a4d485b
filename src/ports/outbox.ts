import type { Transaction } from './transaction.js'

/** Writes events to event streams in the same database, as part of the handler's transaction. */
export interface Outbox {
  /** Throws STREAM_NOT_FOUND; CONFIG_INVALID for an event that JSON can't say. */
  append(tx: Transaction, stream: string, events: readonly NewEvent[]): Promise<void>
}

/** An event on its way into a stream. */
export interface NewEvent {
  /** Events of one key keep their order: they share a partition. Without a key, any partition. */
  readonly key?: string | null
  /** Anything that JSON can say. */
  readonly value: unknown
  /** Reaches consumers as the header `type`. */
  readonly type?: string | null
  readonly headers?: Readonly<Record<string, string | null>>
}
