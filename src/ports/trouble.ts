import type { PartitionKey } from '../model/partition.js'
import type { FencingToken } from '../model/token.js'
import type { Trouble } from '../model/trouble.js'

/** Remembers what a partition can't get past: the tries of its first message, and what its workers were lost at. */
export interface TroubleLog {
  /** Calls of one turn of the event loop go out together. */
  read(key: PartitionKey): Promise<Trouble | null>
  /**
   * Replaces what is known. Writes nothing where somebody with a greater token has written: the writer has lost the partition, and hears of
   * it elsewhere. Tokens are compared by epoch, batch and attempt.
   */
  write(key: PartitionKey, token: FencingToken, trouble: Trouble | null): Promise<void>
}
