import type { GroupName, PartitionKey } from '../model/partition.js'

/* What is said of offsets. */

export interface StoredOffset extends PartitionKey {
  readonly position: bigint
  readonly epoch: number
  readonly replay: number
  /** Which incarnation of the stream the position belongs to (`SourceClient.identity`); null where the source has none. */
  readonly identity: string | null
  /** Null where that is unknown. */
  readonly updatedAt: Date | null
}

/** Something that a person, or a policy, did to a group, to one of its partitions or to a position. Entries are never deleted. */
export interface HistoryEntry extends GroupName {
  /** Null: the whole group. */
  readonly partition: number | null
  readonly kind: OffsetChangeKind | GroupChangeKind | LetterChangeKind
  /** The position before. Null if nothing was stored, and for changes that move no position. */
  readonly from: bigint | null
  /** The position after. Null for changes that move no position. */
  readonly to: bigint | null
  /** Who did it, for people: `user@host`. */
  readonly by: string
  readonly why: string
  /** Null where that is unknown. */
  readonly at: Date | null
}

/**
 * `reset` by a person, `adopted` from another consumer's offsets, `skipped` by a person or because the log has lost the messages, `restored`
 * because the store or the handlers' progress was set back.
 */
export type OffsetChangeKind = 'reset' | 'adopted' | 'skipped' | 'restored'

/** `stopped`: a person ended the group's workflows. `restarted`: a person ended the stop. `resumed`: a person ended a pause. `deleted`: the group was forgotten. */
export type GroupChangeKind = 'paused' | 'resumed' | 'stopped' | 'restarted' | 'resliced' | 'deleted'

/** What a person asked for messages that were set aside. `cancelled`: they wait for a person again. */
export type LetterChangeKind = 'redriven' | 'discarded' | 'corrected' | 'cancelled'

/** A change that moved a position. */
export interface OffsetChange extends HistoryEntry {
  readonly partition: number
  readonly kind: OffsetChangeKind
  readonly to: bigint
}

/** A request to move a position. The store adds `from` and `at`. */
export type NewPosition = Pick<OffsetChange, 'kind' | 'to' | 'by' | 'why'> & {
  /** Recorded with the position when given. */
  readonly identity?: string | null
  /** The new replay is greater than this, too: than that of handlers' progress, which a store that was emptied does not know. */
  readonly replayAbove?: number
  /** The replay that the position belongs to, instead of a new one: a stored one that is newer stays. */
  readonly replay?: number
}

/** What a caller has read. */
export type SeenOffset = Pick<StoredOffset, 'epoch' | 'replay'>

/** What a mirror is told: the primary store's state of one partition. */
export type MirroredOffset = PartitionKey &
  Pick<StoredOffset, 'position' | 'epoch' | 'replay'> & {
    /** True where the group has handled messages up to the position. Otherwise it may only begin there. */
    readonly handled?: boolean
  }

/** A position of one partition of a stream that is known from the context. */
export interface PartitionPosition {
  readonly partition: number
  readonly position: bigint
}

export type CommitOutcome =
  | { readonly outcome: 'committed' }
  /** Somebody else owns the partition, or has already committed more. Nothing was changed. */
  | { readonly outcome: 'stale'; readonly epoch: number; readonly position: bigint; readonly replay: number }

export interface OffsetFilter {
  readonly group?: string
  readonly stream?: string
  readonly partition?: number
}

/**
 * A second place where people look for offsets. It is written after the store, by the partition's owner, and never read for a
 * decision; only by people who bring a group over from another consumer.
 */
export interface OffsetMirror {
  /** What is stored of a group; empty where nothing is. */
  read(group: string, stream: string): Promise<readonly PartitionPosition[]>
  /** Throws GROUP_ACTIVE, naming them, while other consumers of the group run. Absent where there are no such things. */
  refuseActive?(group: string): Promise<void>
  /**
   * Makes the mirror show this, unless it shows something of a newer epoch and can tell, or a position of another consumer that
   * must stay (`mayOverwrite`). Repeating is harmless.
   *
   * @returns the position of another consumer that was left as it is; null otherwise
   */
  assert(offset: MirroredOffset): Promise<bigint | null>
  /** The positions that other consumers have left under the group's name. Absent where nobody but Tidemark writes. */
  foreign?(group: string, stream: string): Promise<readonly PartitionPosition[]>
  /**
   * Marks these positions as Tidemark's without moving them: `assert` overwrites them from then on. Throws GROUP_ACTIVE where the
   * mirror can tell that other consumers of the group run. Absent as `foreign`.
   */
  claim?(group: string, stream: string): Promise<void>
  /**
   * Forgets what is stored of a group; of a mirror, only what Tidemark has put there. Throws GROUP_ACTIVE where it can tell that other
   * consumers of the group run. Absent where the log can't delete.
   */
  delete?(group: string, stream: string): Promise<void>
}
