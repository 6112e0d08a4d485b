import type { PartitionKey } from '../model/partition.js'
import type { ConnectContext } from './context.js'
import type { Database } from './database.js'
import type {
  CommitOutcome,
  HistoryEntry,
  NewPosition,
  OffsetFilter,
  OffsetMirror,
  SeenOffset,
  StoredOffset,
} from './offsets.js'

/* An offset store keeps how far a group has come. */

/** Keeps how far a group has come. */
export interface OffsetStore {
  readonly kind: string
  readonly describe: Readonly<Record<string, unknown>>
  /** Holds the groups' records, the progress of plain handlers, and that of transactional handlers that name no database. */
  readonly database: Database
  connect(context: ConnectContext): Promise<OffsetStoreClient>
}

/** What a new owner asks for. */
export interface OffsetBeginning {
  readonly above: number
  readonly start: bigint
  /** 0 when absent. */
  readonly replay?: number
  readonly identity?: string | null
}

export interface OffsetStoreClient extends OffsetMirror {
  /** Brings the store's own tables up to date, under a lock. Throws SCHEMA_TOO_NEW. */
  migrate(): Promise<void>
  read(group: string, stream: string): Promise<readonly StoredOffset[]>
  /** Everything stored of a group, of a stream, or at all; ordered by group, stream, partition. */
  list(filter: OffsetFilter): Promise<readonly StoredOffset[]>
  /**
   * Begins a new ownership: the epoch becomes greater than the stored one and than `above`. Where nothing is stored, the
   * position becomes `start` in `replay`, of the stream's incarnation `identity`.
   */
  open(key: PartitionKey, options: OffsetBeginning): Promise<StoredOffset>
  /** Compare-and-set: moves the position forward when `epoch` is the stored one. Repeating a commit is harmless. */
  commit(key: PartitionKey, commit: { epoch: number; position: bigint; replay?: number }): Promise<CommitOutcome>
  /**
   * Puts the position anywhere, and records who did it and why. Epoch and replay grow by one, so that commits of whoever owns the
   * partition now can't undo it and idempotency keys change. Creates what is not stored yet.
   */
  reset(key: PartitionKey, change: NewPosition): Promise<StoredOffset>
  /** The same, but only while epoch and replay are those that the caller has read. Otherwise null, and nothing was changed. */
  resetIf(key: PartitionKey, seen: SeenOffset, change: NewPosition): Promise<StoredOffset | null>
  /** What was done to groups and their positions, newest first. A filter by partition includes what was done to the whole group. */
  history(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]>
  close(): Promise<void>
}
