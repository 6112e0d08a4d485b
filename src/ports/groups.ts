import type { GroupName } from '../model/partition.js'

/*
 * What a group must remember, whatever happens to Temporal. The record lives in the store's database. It outranks what Temporal
 * says: a Temporal that was emptied or restored to an older state loses none of it.
 */

/** What the store's database holds about a group and its stream. */
export interface GroupRecord extends GroupName {
  /** How many slices the partitions are divided into. */
  readonly slices: number
  /** Starts at 1 and grows by one with each reslicing. A slice of another generation ends. */
  readonly generation: number
  /** The partitions that the group knows of, in ascending order. */
  readonly partitions: readonly number[]
  /** Set while the group stays stopped because a person ended its workflows. */
  readonly stopped: Stop | null
  readonly paused: {
    /** Holds for every partition, including partitions that are added later. */
    readonly group: Pause | null
    /** Pauses of single partitions. They are independent of the group's pause. */
    readonly partitions: ReadonlyMap<number, Pause>
  }
}

/** Who decided something, and why. */
export interface Decision {
  /** For people: `user@host`. */
  readonly by: string
  readonly why: string
}

export interface Pause extends Decision {
  /** By the database's clock. */
  readonly at: Date
}

export interface Stop extends Pause {
  /** What the person did to the workflow in Temporal. */
  readonly how: 'cancelled' | 'terminated'
}

/**
 * The records of all groups. Each call is one statement or a few short ones, and safe while others make the same call. Calls that change
 * something also write to the history, in the same transaction; a call that finds nothing to change writes nothing.
 *
 * Calls about a group that has no record throw UNKNOWN_CONSUMER, except `ensure`, `read` and `delete`.
 */
export interface GroupRecords {
  /** Creates the record if there is none. A record that exists is returned unchanged, even if it says something else. */
  ensure(name: GroupName, initial: Pick<GroupRecord, 'slices' | 'partitions'>): Promise<GroupRecord>
  read(name: GroupName): Promise<GroupRecord | null>
  /** Ordered by group and stream. */
  list(filter: Partial<GroupName>): Promise<readonly GroupRecord[]>
  /** Adds partitions that the stream has gained. Writes no history. */
  addPartitions(name: GroupName, partitions: readonly number[]): Promise<GroupRecord>
  /**
   * Changes the number of slices if the record's generation is still `from`, and increments the generation. Returns null, and changes
   * nothing, if another call was first.
   */
  reslice(
    name: GroupName,
    change: Decision & { readonly from: number; readonly slices: number },
  ): Promise<GroupRecord | null>
  /** Records that a person ended the group's workflows. A group that is stopped already keeps its first reason. */
  stop(name: GroupName, stop: Omit<Stop, 'at'>): Promise<GroupRecord>
  /** Ends a stop. Pauses stay. */
  resume(name: GroupName, decision: Decision): Promise<GroupRecord>
  /** Pauses the whole group, or the given partitions. What is paused already keeps its first reason. */
  pause(name: GroupName, pause: PauseRequest): Promise<GroupRecord>
  /**
   * Without partitions: ends the group's pause and the pauses of all its partitions. With partitions: ends only the pauses of these
   * partitions, so they stay paused while the group is paused.
   */
  unpause(name: GroupName, pause: PauseRequest): Promise<GroupRecord>
  /** Deletes the record, if there is one. The history stays, and says who did it. */
  delete(name: GroupName, decision: Decision): Promise<void>
}

export interface PauseRequest extends Decision {
  /** Absent: the whole group. */
  readonly partitions?: readonly number[]
}
