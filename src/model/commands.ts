import type { BatchTrouble, PauseNote, Pauses, Run } from './batch.js'
import type { Condition } from './condition.js'
import type { GroupName } from './partition.js'
import type { Revision } from './revision.js'

/*
 * Inputs, commands and answers of the workflows. Clients, the CLI and the workflows share these types, and the names below,
 * so that neither has to import the other.
 */

export const workflowTypes = { group: 'consumerGroup', slice: 'consumerSlice' } as const

export const names = {
  /** Signal to a group or slice: a worker has started with this revision. */
  configure: 'configure',
  /** Update of a group, signal to a slice. */
  pause: 'pause',
  resume: 'resume',
  /** Update of a group: divide the partitions into another number of slices. */
  reslice: 'reslice',
  /** Signal to a group or slice: the stored positions of partitions were changed by a person. */
  reopen: 'reopen',
  /** Signal to a group or slice: a person has asked for messages of partitions that were set aside. */
  redrive: 'redrive',
  /** Signal to a slice: end the workflow, once the chunks in hand are done. */
  finish: 'finish',
  /** Signal to a slice: partitions that it owns from now on. */
  own: 'own',
  /** Signal to a slice at rest: there are messages. */
  wake: 'wake',
  /** Signal from a batch to its slice: these partitions have left the batch. */
  leave: 'leave',
  /** Query of a group or slice. */
  status: 'status',
  /** Signal from a slice to its group, and from a group to its slices: which version of the config batches are worked with. */
  fallback: 'fallback',
  /** Signal from the group's poll to a slice: which of its batches are in trouble, by the IDs of their activities. */
  trouble: 'trouble',
  /** Signal from a slice to its group: the partitions that are not healthy, and the batches in trouble. */
  report: 'report',
} as const

/** Type of the failure of a batch that its worker let go: it says nothing about the handler. */
export const letGo = 'LET_GO'
/** The same, where a person has paused or reset its activity in Temporal. */
export const held = 'HELD'

/** What other processes read of a running slice without asking a worker (its memo). */
export interface SliceMemo {
  /** Partitions that batches have to let go of: those of this epoch up to this batch. */
  readonly letGo?: Readonly<Record<string, readonly [epoch: number, batch: number]>>
  /** Set when the slice came to rest, for the n-th time: the position of each partition that waits for messages. */
  readonly rest?: {
    readonly count: number
    readonly partitions: Readonly<Record<string, readonly [position: string, identity: string | null]>>
  }
  /** Its blocked and fenced partitions. Absent or empty where it has none. */
  readonly stopped?: readonly StoppedPartition[]
}

/** Messages have come for a slice at rest, or for one that is about to rest. */
export interface WakeCommand {
  /** One of the partitions that they are in, and where. */
  readonly partition?: number
  readonly position?: string
}

/** Messages that were set aside are to be handled, or discarded, by the owners of these partitions. */
export interface RedriveCommand {
  readonly partitions: readonly number[]
}

export interface PauseCommand {
  readonly reason: string
  /** For people: `user@host`. */
  readonly by?: string
  /** All partitions when absent. */
  readonly partitions?: readonly number[]
}

export interface ResumeCommand {
  readonly reason?: string
  /** For people: `user@host`. */
  readonly by?: string
  readonly partitions?: readonly number[]
}

export interface ResliceCommand {
  readonly slices: number
  readonly reason?: string
  /** For people: `user@host`. */
  readonly by?: string
}

/** What a group is divided into now, and was before. Equal numbers: there was nothing to change. */
export interface Resliced extends GroupName {
  readonly partitions: readonly number[]
  readonly before: number
  readonly slices: number
  readonly generation: number
}

export interface ReopenCommand {
  readonly partitions: readonly number[]
}

/** Where no worker with the config in force is left, batches are worked with the version of one that is there. */
export interface FallbackCommand {
  /** The version in force. The command means nothing under another one. */
  readonly wanted: string
  /** The version to work with; `wanted` once a worker with that one is back. */
  readonly version: string
}

/** A partition that does not just work or wait, as its slice reports it. */
export interface PartitionReport {
  readonly partition: number
  readonly condition: Condition
  /** Why, for people. */
  readonly reason: string
  /** ISO time of the change. */
  readonly since: string
}

/** A blocked or fenced partition, as the memo of its slice describes it. */
export interface StoppedPartition extends PartitionReport {
  readonly condition: 'blocked' | 'fenced'
  /** The replay in which it stopped: a later one means that a person has moved its position since. Absent where the slice can't say. */
  readonly replay?: number
}

/** A batch that is retried as a whole, or held by a person, with the partitions that it has. */
export interface TroubledBatch extends BatchTrouble {
  readonly partitions: readonly number[]
  /** ISO time when its slice was told. */
  readonly since: string
}

export interface SliceReport {
  readonly slice: number
  readonly generation: number
  readonly partitions: readonly PartitionReport[]
  /** Absent where none is. */
  readonly troubled?: readonly TroubledBatch[]
}

/** A partition that a slice is to own. */
export interface PartitionStart {
  readonly partition: number
  readonly added?: boolean
  readonly paused?: PauseNote
}

/** Everything a slice workflow carries from run to run: one small entry a partition, and nothing that grows. */
export interface SliceInput {
  readonly name: GroupName
  readonly slice: number
  readonly generation: number
  readonly revision: Revision
  /** False where the namespace does not know Tidemark's search attributes. */
  readonly searchAttributes: boolean
  readonly partitions: readonly PartitionRecord[]
  /** The version that batches are worked with, where it is not the revision's. */
  readonly version?: string
  /** How often the slice came to rest. */
  readonly rests?: number
}

/** Where a partition's owner stands. */
export interface PartitionProgress {
  readonly epoch: number
  readonly replay: number
  /** The incarnation of the stream that the position belongs to. */
  readonly identity: string | null
  /** Number of the last batch that was begun. */
  readonly batch: number
  /** Where the next batch begins, decimal. */
  readonly position: string
  readonly committed: string
  /** The log's head as last seen, decimal. */
  readonly head: string
  readonly messages: number
}

export interface PartitionRecord extends PartitionReport {
  readonly paused: PauseNote | null
  readonly added?: boolean
  /** Present once the partition was opened. */
  readonly progress?: PartitionProgress
  /** False: the next step is to open it. */
  readonly owned: boolean
  /** It waits for messages at its position. */
  readonly resting?: boolean
  /** True if the previous batch ended exactly at the position and did not end the run. */
  readonly follows?: boolean
  /** Handled further than the store knows. */
  readonly uncommitted?: boolean
  /** Batches that it is still worked apart, after its handler was too slow for its neighbours. */
  readonly apartFor?: number
  /** Present once a bounded run has begun. */
  readonly run?: Run
  /** When a message of it that was set aside comes back, ISO time. */
  readonly dueAt?: string
}

export interface PartitionStatus extends PartitionReport {
  readonly paused: PauseNote | null
  /** Whether a batch has it: together with its neighbours, apart from them, or none. */
  readonly place: 'slice' | 'apart' | 'none'
  /** Version of the config of that batch, or of the next one. */
  readonly version: string
  readonly progress: PartitionProgress | null
}

export interface SliceStatus {
  readonly slice: number
  readonly partitions: readonly PartitionStatus[]
}

/** Everything a group workflow carries from run to run: small entries only. */
export interface GroupInput extends GroupName {
  readonly revision: Revision
  readonly searchAttributes: boolean
  /** Partitions that came when the group was reading already. */
  readonly added?: readonly number[]
  /** What the group's record said, and what came after. Absent in runs that read the record anew: the first, and after reslicing. */
  readonly record?: GroupState
}

export interface GroupState {
  readonly slices: number
  readonly generation: number
  /** Partitions that their slices were told to own. */
  readonly partitions: readonly number[]
  readonly pauses: Pauses
  /** The version that batches are worked with, where it is not the revision's. */
  readonly version?: string
  /** Partitions that are not healthy, by their slices' last reports. */
  readonly reports: readonly PartitionReport[]
  /** Batches in trouble by slice. Absent where none is. */
  readonly troubled?: Readonly<Record<string, readonly TroubledBatch[]>>
}

export interface GroupStatus extends GroupName, GroupState {
  readonly revision: Revision
}
