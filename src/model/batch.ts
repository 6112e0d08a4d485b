import type { PartitionKey } from './partition.js'

/*
 * What crosses the border between the partition workflow and its activities. Positions are decimal strings there, since
 * JSON has no 64-bit integers. Nothing here may ever hold a piece of a message.
 */

/** Asks for a new ownership of a partition. */
export interface OpenInput {
  readonly key: PartitionKey
  /** The new epoch must be greater than this one: the last epoch that the workflow itself has held. */
  readonly above: number
  /** The partition came when the group was already reading: it begins at its first message, whatever the start option says. */
  readonly added?: boolean
  /** The run is to end at the head: say where that is. */
  readonly head?: boolean
}

export interface Ownership {
  readonly epoch: number
  /** Where to go on, decimal. */
  readonly position: string
  /** What the store has, decimal, where handlers have come further than what was committed. */
  readonly committed?: string
  readonly replay: number
  /** The incarnation of the stream that the position belongs to. */
  readonly identity?: string | null
  /** The partition's head now, decimal, where it was asked for. */
  readonly head?: string
}

/** A bounded run of one partition: from where it began to where `until` ends it. */
export interface Run {
  readonly until: 'head' | 'message'
  /** Where the partition was when the run began, decimal. What lies before it belongs to earlier runs. */
  readonly began: string
  readonly replay: number
  /** The head that it ends at, decimal. */
  readonly end?: string
}

export interface PollInput {
  readonly key: PartitionKey
  readonly position: string
  readonly identity?: string | null
}

/** What poll found: whether there is anything to read at `from` or beyond. */
export interface Plan {
  readonly from: string
  readonly found: boolean
  /** The stream was deleted and made again: ownership begins anew. */
  readonly reopen?: boolean
}

/** One batch to work: read from the log at `from`, follow the tail, and stop when the batch is full, old or idle. */
export interface BatchInput {
  readonly key: PartitionKey
  readonly from: string
  readonly epoch: number
  readonly batch: number
  readonly replay: number
  readonly rhythm: Rhythm
  readonly identity?: string | null
  readonly run?: Run
  /** The batch before it ended at `from`, and the run did not: nobody has handled anything since. */
  readonly follows?: boolean
}

/** Why a batch was closed. */
export type BatchEnd =
  /** It reached its greatest number of messages: there is probably more, go on at once. */
  | 'full'
  /** It reached its greatest duration while messages kept coming. */
  | 'duration'
  /** No message came for the idle gap: wait with poll. */
  | 'idle'
  /** The worker is shutting down or the batch was cancelled: somebody else goes on at once. */
  | 'stopped'
  /** It reached the end of a bounded run. */
  | 'finished'

export interface BatchResult {
  readonly to: string
  readonly messages: number
  readonly end: BatchEnd
  /** The partition's head as last seen, decimal. */
  readonly head: string
  readonly rhythm: Rhythm
  /** Why the partition can't go on at `to`: something that trying again won't mend. */
  readonly blocked?: string
  /** The position in the store was changed meanwhile, or has to be: ownership begins anew, from there. */
  readonly reopen?: boolean
  /** What the batch has committed itself, decimal, where the commit strategy is another than after the batch. */
  readonly committed?: string
}

/** How often messages come to a partition, carried from batch to batch. */
export interface Rhythm {
  /** Smoothed gap between two arrivals, ms; null before two arrivals were seen. */
  readonly gapMs: number | null
  /** When the last messages arrived: ms since 1970 by the clock of the worker that saw them. */
  readonly lastAt: number | null
}

export interface CommitInput {
  readonly key: PartitionKey
  readonly epoch: number
  readonly replay?: number
  readonly position: string
}

export type CommitResult =
  | { readonly committed: true }
  /** `reopen` when nobody else works the partition, for example since a person has reset it. */
  | { readonly committed: false; readonly why: string; readonly reopen?: boolean }

export interface DiscoverInput {
  /** Partitions the group already runs; discovery returns as soon as the stream has others. */
  readonly known: readonly number[]
  /** Look at once whether every known partition's workflow still runs, and return what is missing. */
  readonly verify: boolean
}

export interface Discovery {
  readonly partitions: readonly number[]
  /** Known partitions whose workflow does not run. */
  readonly missing: readonly number[]
}

/** Activities that every worker of a consumer serves, whatever version of the config it has. They never wait for a slot. */
export interface ControlActivities {
  open(input: OpenInput): Promise<Ownership>
  poll(input: PollInput): Promise<Plan>
  commit(input: CommitInput): Promise<CommitResult>
  discover(input: DiscoverInput): Promise<Discovery>
  /** The config version to go on with when nobody took a batch of version `wanted`. */
  fallback(input: { readonly wanted: string }): Promise<{ readonly version: string }>
}

/** Served only by workers that hold the config version in force. */
export interface BatchActivities {
  process(input: BatchInput): Promise<BatchResult>
}
