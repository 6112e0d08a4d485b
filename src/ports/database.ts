import type { ConnectContext } from './context.js'
import type { GroupRecords } from './groups.js'
import type { DeadLetters } from './letters.js'
import type { HistoryEntry, OffsetFilter, StoredOffset } from './offsets.js'
import type { SqlProgressLog } from './progress.js'
import type { TroubleLog } from './trouble.js'

/* Progress lives in the database that handlers write to, so that it moves in the same transaction. */

/** A database that handlers write to. Progress rows live there, so that effects and progress are one transaction. */
export interface Database {
  readonly kind: string
  /** What people see of it: host, port, database. Never a secret. */
  readonly describe: Readonly<Record<string, unknown>>
  connect(context: ConnectContext): Promise<DatabaseClient>
}

export interface DatabaseClient {
  readonly progress: SqlProgressLog
  /** What partitions can't get past. */
  readonly troubles: TroubleLog
  /** Messages that were set aside. */
  readonly letters: DeadLetters
  /** The groups' records. Only those in the store's own database count. */
  readonly groups: GroupRecords
  /** The history of groups and positions. `add` is for stores that keep their offsets elsewhere, and for what was done to letters. */
  readonly changes: {
    add(change: Omit<HistoryEntry, 'at'>): Promise<void>
    /** Newest first. A filter by partition includes what was done to the whole group. */
    list(filter: OffsetFilter & { readonly limit: number }): Promise<readonly HistoryEntry[]>
  }
  /** Partitions as they were when they were last opened or reset, for stores that can't list them, and lose them with the stream. */
  readonly partitions: {
    /** An identity of null leaves the one that is there. */
    note(partition: NotedPartition): Promise<void>
    list(filter: OffsetFilter): Promise<readonly NotedPartition[]>
  }
  close(): Promise<void>
}

export type NotedPartition = Omit<StoredOffset, 'updatedAt'>
