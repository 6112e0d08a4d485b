import type { EpochEnd } from '../client/leader-epochs.js'

/** Where a reader stands: right behind a record batch that a leader of this epoch has written. */
export interface Reached {
  readonly position: bigint
  readonly epoch: number
}

/** A leader, as it is asked about the log that it has now. */
export interface LeaderLog {
  /** Where an epoch ends in its log; null where the broker is too old to say. */
  endOf(epoch: number): Promise<Pick<EpochEnd, 'epoch' | 'offset'> | null>
  /** The epoch of the batch that holds this offset; null where compaction or retention has removed it. */
  epochAt(offset: bigint): Promise<number | null>
}

/** The log was cut somewhere before a position: other messages stand there now, or none. */
export interface Truncation {
  /** Up to here the log is the one that was read; null where nobody can tell. */
  readonly at: bigint | null
}

/**
 * Whether the leader's log holds what was read up to a position; null where it does, or where nobody can tell. One epoch has one
 * leader, so logs that both hold an epoch are the same up to where it ends in the shorter one. KIP-320.
 */
export async function truncationOf({ position, epoch }: Reached, log: LeaderLog): Promise<Truncation | null> {
  const end = await log.endOf(epoch)
  if (end === null) return null
  // A leader's own epoch is in its log, and greater than that of any message: a log without such an epoch is another one.
  if (end.epoch < 0 || end.offset < 0n) return { at: null }
  if (end.offset < position) return { at: end.offset }
  if (end.epoch >= epoch) return null
  // The log never had that epoch, as after two unclean elections. Or compaction has removed all of its batches before this broker
  // copied the log: then it has removed the last one that was read, too.
  const there = await log.epochAt(position - 1n)
  return there === null || there === epoch ? null : { at: null }
}
