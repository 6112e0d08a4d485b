import type { PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Chunk, OutputRecord, Transaction } from '../../src/ports/index.js'
import type { StoredOffsets } from '../committing/stored-offsets.js'

/** For whom chunks are delivered: one attempt of one batch. */
export interface Delivery {
  readonly key: PartitionKey
  readonly token: FencingToken
  readonly replay: number
  /** What the handler stores, where it decides what is committed. */
  readonly stored?: StoredOffsets
  /** Lets go of a handler in the middle of a chunk. */
  readonly stopped?: AbortSignal
  /** How long the handler may take for a chunk, ms; null: no limit. */
  readonly timeoutMs?: number | null
  /** Is told how long the handler's function has run before it first let anything else run, ms. */
  readonly ran?: (ms: number) => void
}

/**
 * Delivers one chunk to the handler and moves progress behind it: together with the effects, or right after them. A chunk without messages only
 * moves it. One that ends where it begins moves nothing, and is fenced like any other.
 *
 * @throws UserFailure HANDLER_FAILED; TidemarkError CHUNK_TIMEOUT, OUTPUT_FAILED, FENCED; POSITION_CHANGED, also when the handler's own commit finds the position moved
 */
export type DeliverChunk = (chunk: Chunk, aside?: Aside) => Promise<void>

/** What is written beside the handler's effects, and exactly when progress moves. */
export interface Aside {
  readonly sql?: (tx: Transaction) => Promise<void>
  /** Where progress and outputs are one transaction of the output's log. */
  readonly records?: readonly OutputRecord[]
}
