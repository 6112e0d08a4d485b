import type { PartitionKey } from '../model/partition.js'
import type { CommitOutcome, NewPosition, SeenOffset, StoredOffset } from '../ports/index.js'
import type { Known } from './last-known.js'

/* What stores have in common that read first and then write. */

/** Where a new owner begins. */
export function beginning(
  stored: (Known & { readonly ours: boolean }) | undefined,
  known: Known | null,
  start: bigint,
): Pick<Known, 'position' | 'replay'> {
  // A new replay, so that the progress of handlers does not count any more.
  if (stored && !stored.ours) return { position: stored.position, replay: known ? known.replay + 1 : 0 }
  if (stored && stored.replay >= (known?.replay ?? 0)) return stored
  return known ?? { position: start, replay: 0 }
}

export function stale(stored: Known | undefined): Exclude<CommitOutcome, { outcome: 'committed' }> {
  const { epoch = 0, position = 0n, replay = 0 } = stored ?? {}
  return { outcome: 'stale', epoch, position, replay }
}

/** The replay of a position that is put somewhere else. */
export function replayOf(
  { replay, replayAbove = 0 }: Pick<NewPosition, 'replay' | 'replayAbove'>,
  known: number,
): number {
  return replay === undefined ? Math.max(known, replayAbove) + 1 : Math.max(known, replay)
}

/** Whether what is stored is what a caller has read. */
export function isStill(stored: SeenOffset | null | undefined, seen: SeenOffset): boolean {
  return stored?.epoch === seen.epoch && stored.replay === seen.replay
}

export function partitionOf({ group, stream, partition }: PartitionKey): PartitionKey {
  return { group, stream, partition }
}

/** Sorts by group, stream, partition. */
export function byName(a: StoredOffset, b: StoredOffset): number {
  return inOrder(a.group, b.group) || inOrder(a.stream, b.stream) || a.partition - b.partition
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
