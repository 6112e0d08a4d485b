import type { PartitionKey } from '../model/partition.js'

/* What is said of offsets. */

export interface StoredOffset extends PartitionKey {
  readonly position: bigint
  readonly epoch: number
  readonly replay: number
  /** Which incarnation of the stream the position belongs to (`SourceClient.identity`); null where the source has none. */
  readonly identity: string | null
  readonly updatedAt: Date
}

/** What only people do to a position, or what a policy did for them. Kept for ever, beside the offsets. */
export interface OffsetChange extends PartitionKey {
  /** `reset` by a person, `adopted` from another consumer's offsets, `skipped` because the log has lost the messages. */
  readonly kind: 'reset' | 'adopted' | 'skipped'
  /** The position before; null where nothing was stored. */
  readonly from: bigint | null
  readonly to: bigint
  /** Who did it, for people: `user@host`. */
  readonly by: string
  readonly why: string
  readonly at: Date
}

/** How a change of a position is asked for. `from` and `at` are the store's to fill in. */
export type NewPosition = Pick<OffsetChange, 'kind' | 'to' | 'by' | 'why'> & {
  /** Recorded with the position when given. */
  readonly identity?: string | null
}

/** What a mirror is told: the primary store's state of one partition. */
export type MirroredOffset = PartitionKey & Pick<StoredOffset, 'position' | 'epoch' | 'replay'>

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
  read(group: string, stream: string): Promise<readonly { readonly partition: number; readonly position: bigint }[]>
  /** Throws GROUP_ACTIVE, naming them, while other consumers of the group run. Absent where there are no such things. */
  refuseActive?(group: string): Promise<void>
  /** Makes the mirror show this, unless it shows something of a newer epoch and can tell. Repeating is harmless. */
  assert(offset: MirroredOffset): Promise<void>
}
