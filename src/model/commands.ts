import type { Rhythm, Run } from './batch.js'
import type { PartitionKey } from './partition.js'
import type { Revision } from './revision.js'

/*
 * Inputs, commands and answers of the workflows. Clients, the CLI and the workflows share these types, and the names below,
 * so that neither has to import the other.
 */

export const workflowTypes = { group: 'consumerGroup', shard: 'groupShard', partition: 'partitionConsumer' } as const

export const names = {
  /** Signal to a group or partition: a worker has started with this revision. */
  configure: 'configure',
  /** Update of a group, signal to a partition. */
  pause: 'pause',
  resume: 'resume',
  /** Signal to a partition: its position in the store was changed by a person. */
  reopen: 'reopen',
  /** Signal to a partition: every partition of a bounded run is at its end, so end the workflow. */
  finish: 'finish',
  /** Query of a group or partition. */
  status: 'status',
  /** Signal from a partition to its group when its mode changes. */
  report: 'report',
} as const

/**
 * What a partition is doing.
 *
 * - `running` working or waiting for messages
 * - `paused`  by a person; goes on with `resume`
 * - `blocked` in front of something that retrying can't mend; goes on after a fix (a worker started again) or `resume`
 * - `fenced`  another owner with a newer epoch took the partition; takes it back with `resume`
 * - `finished` at the end that the consumer's `until` names; the group ends when all its partitions are there
 */
export type Mode = 'running' | 'paused' | 'blocked' | 'fenced' | 'finished'

export interface ModeState {
  readonly mode: Mode
  /** Why, for people; empty while running. */
  readonly reason: string
  /** ISO time of the change. */
  readonly since: string
}

export interface PauseCommand {
  readonly reason: string
  /** All partitions when absent. */
  readonly partitions?: readonly number[]
}

export interface ResumeCommand {
  readonly partitions?: readonly number[]
}

export interface PartitionReport extends ModeState {
  readonly partition: number
}

/** Everything a partition workflow carries from run to run. Nothing in it grows. */
export interface PartitionInput {
  readonly key: PartitionKey
  readonly revision: Revision
  readonly state: ModeState
  /** False where the namespace does not know Tidemark's search attributes. */
  readonly searchAttributes: boolean
  /** Set for a partition that was added to a stream which the group already read: nothing in it may be missed. */
  readonly added?: boolean
  /** Present once the chain has taken ownership. */
  readonly progress?: PartitionProgress
  /** Present once a bounded run has begun. */
  readonly run?: Run
}

export interface PartitionProgress {
  readonly epoch: number
  readonly replay: number
  /** The incarnation of the stream that the position belongs to. */
  readonly identity?: string | null
  /** Number of the last batch begun. */
  readonly batch: number
  /** Where the next batch begins, decimal. */
  readonly position: string
  readonly committed: string
  /** The log's head as last seen, decimal. */
  readonly head: string
  /** Whether the next batch may begin without a poll. */
  readonly more: boolean
  readonly messages: number
  readonly rhythm: Rhythm
}

export interface PartitionStatus extends ModeState {
  readonly partition: number
  readonly version: string
  readonly progress: PartitionProgress | null
}

/** Everything a group workflow carries from run to run: O(partitions) small entries. */
export interface GroupInput {
  readonly group: string
  readonly stream: string
  readonly revision: Revision
  readonly searchAttributes: boolean
  /** Partitions whose workflows were started. */
  readonly known: readonly number[]
  /** Partitions that whoever starts the group has seen; spares the first run a look for them. */
  readonly seen?: readonly number[]
  /** Set while the whole group is paused. Partitions found later start paused, too. */
  readonly paused: ModeState | null
  /** Partitions that are not running, by their last report. */
  readonly reports: readonly PartitionReport[]
}

export interface GroupStatus {
  readonly group: string
  readonly stream: string
  readonly revision: Revision
  readonly paused: ModeState | null
  readonly partitions: readonly number[]
  readonly reports: readonly PartitionReport[]
}

/** Something to do for some of a shard's partitions: start them, or hand them a signal. */
export interface ShardOrder {
  readonly group: string
  readonly stream: string
  readonly searchAttributes: boolean
  readonly shard: number
  readonly start?: readonly { readonly partition: number; readonly state: ModeState; readonly added?: boolean }[]
  readonly revision?: Revision
  readonly tell?: readonly number[]
  readonly signal?: string
  readonly args?: readonly unknown[]
}
