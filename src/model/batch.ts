import type { GroupName } from './partition.js'

/*
 * What crosses the border between workflows and their activities: lists of partitions, with an outcome for each. Positions are
 * decimal strings there, since JSON has no 64-bit integers. Nothing here may ever hold a piece of a message.
 */

/** Asks what the store's database knows of a group, and which partitions the stream has. Creates the record of a new group. */
export interface EnrollInput {
  readonly name: GroupName
  /** The number of slices that the consumer's options name. */
  readonly slices?: number
}

export interface Enrolled {
  readonly slices: number
  readonly generation: number
  /** Every partition that the stream has now. */
  readonly partitions: readonly number[]
  /** Those that came when the group was reading already: they begin at their first message, whatever the start option says. */
  readonly added: readonly number[]
  readonly pauses: Pauses
  /** Why the group must not run: a person has stopped it. */
  readonly stopped: string | null
}

/** Who paused something and why, for people. */
export interface PauseNote {
  readonly by: string
  readonly reason: string
  /** ISO time. */
  readonly since: string
}

export interface Pauses {
  /** Of the whole group, with partitions that are added later. */
  readonly group: PauseNote | null
  readonly partitions: readonly (PauseNote & { readonly partition: number })[]
}

/** What a person has decided about a group, or what its stream has gained, to be written into its record. */
export interface NoteInput {
  readonly name: GroupName
  readonly what: 'paused' | 'resumed' | 'stopped' | 'added'
  readonly by: string
  readonly reason: string
  /** All when absent. */
  readonly partitions?: readonly number[]
}

/** Writes another number of slices into a group's record, unless its generation is not `from` any more. */
export interface ResliceInput {
  readonly name: GroupName
  readonly from: number
  readonly slices: number
  readonly by: string
  readonly reason: string
}

/** Asks for a new ownership of partitions. */
export interface OpenInput {
  readonly name: GroupName
  readonly partitions: readonly OpenRequest[]
}

export interface OpenRequest {
  readonly partition: number
  /** The new epoch must be greater than this one: the last epoch that the workflow itself has held. */
  readonly above: number
  /** The partition came when the group was already reading: it begins at its first message, whatever the start option says. */
  readonly added?: boolean
  /**
   * Where the workflow believes it to be, decimal. Nobody goes on from there, since a database may have been set back; but where no
   * database knows the partition any more, it tells that something is lost.
   */
  readonly remembered?: string
  /** The run is to end at the head: say where that is. */
  readonly head?: boolean
}

export interface Ownership {
  readonly epoch: number
  /** Where to continue, decimal. */
  readonly position: string
  /** What the store has, decimal: less than `position` where handlers are ahead of the last commit. */
  readonly committed: string
  readonly replay: number
  /** The incarnation of the stream that the position belongs to. */
  readonly identity: string | null
  /** The partition's head now, decimal, where it was asked for. */
  readonly head?: string
}

export type OpenOutcome = { readonly partition: number } & (
  | ({ readonly outcome: 'owned' } & Ownership)
  /** A person has paused it, though the slice may not know: Temporal may have been restored to an older state. */
  | { readonly outcome: 'paused'; readonly note: PauseNote }
  /** Something that retrying can't mend. */
  | { readonly outcome: 'blocked'; readonly reason: string }
  /** Something that retrying may mend, while the other partitions are open. */
  | { readonly outcome: 'failed'; readonly reason: string }
)

/** A bounded run of one partition: from where it began to where `until` ends it. */
export interface Run {
  readonly until: 'head' | 'message'
  /** Where the partition was when the run began, decimal. What lies before it belongs to earlier runs. */
  readonly began: string
  readonly replay: number
  /** The head that it ends at, decimal. */
  readonly end?: string
}

/** One batch to work: read from the log, follow the tail, and stop when the batch is full, old, or quiet. */
export interface BatchInput {
  readonly name: GroupName
  readonly slice: number
  readonly partitions: readonly PartitionBatch[]
  /** A batch of one partition that is worked apart from its neighbours, and why. */
  readonly apart?: 'failed' | 'slow'
  /** How many partitions may leave this batch to be worked apart. */
  readonly mayLeave: number
  /** Ends the batch sooner than the consumer's options say, ms. */
  readonly closesInMs?: number
}

export interface PartitionBatch {
  readonly partition: number
  readonly from: string
  readonly epoch: number
  /** The number of the partition's batch. It makes the fencing token greater than every earlier batch's. */
  readonly batch: number
  readonly replay: number
  readonly identity: string | null
  readonly run?: Run
  /** True if the previous batch ended exactly here and did not end the run. */
  readonly follows?: boolean
}

/** What a batch's heartbeats say of it, for people. */
export interface BatchProgress {
  readonly messages: number
  /** Decimal, by partition. */
  readonly positions: Readonly<Record<string, string>>
  /** ISO times, by partition: since when its handler has been at a chunk, where that takes long. */
  readonly inChunkSince?: Readonly<Record<string, string>>
  /** By partition: what its handler needs and is away, and an ISO time. */
  readonly waiting?: Readonly<Record<string, { readonly for: string; readonly since: string }>>
  /** By partition: the message that its handler fails at, how often it has, and an ISO time of the last one. */
  readonly failing?: Readonly<Record<string, { readonly offset: string; readonly tries: number; readonly at: string }>>
}

/** What Temporal shows of a batch that is not just worked. */
export interface BatchTrouble {
  /**
   * - `retrying` it has failed at least once, and is tried again
   * - `held`     a person has paused its activity in Temporal
   * - `waiting`  what the handler needs is away, for some of its partitions
   */
  readonly state: 'retrying' | 'held' | 'waiting'
  /** For people. Of a batch that is retried, what its first failures said. */
  readonly reason: string
  /** Those of its partitions that it is about; all when absent. */
  readonly partitions?: readonly number[]
}

export interface BatchResult {
  readonly partitions: readonly PartitionOutcome[]
}

/** What became of one partition in a batch. Everything before `to` is handled. */
export type PartitionOutcome = {
  readonly partition: number
  /** The ownership, and the partition's batch, that this is about. */
  readonly epoch: number
  readonly batch: number
  readonly to: string
  readonly messages: number
  /** The partition's head as last seen, decimal. */
  readonly head: string
  /** What the batch has committed itself, decimal, where it has left nothing to commit. */
  readonly committed?: string
  /** When a message of it that was set aside is to be handled, ISO time; absent where none is. */
  readonly dueAt?: string
} & (
  | {
      /**
       * - `more`     the batch is full or old: there is probably more
       * - `rest`     no message came for a while
       * - `released` it was asked to let go, or its worker is shutting down
       * - `finished` at the end of a bounded run
       */
      readonly end: 'more' | 'rest' | 'released' | 'finished'
    }
  | {
      /**
       * - `failed`  its handler failed; it is to be retried apart from its neighbours
       * - `slow`    one call of its handler outlasts the batches of its neighbours
       * - `blocked` it can't continue at `to`: something that retrying can't mend
       * - `fenced`  a newer owner has it
       * - `reopen`  its stored position was changed meanwhile, or has to be: ownership begins anew, from there
       */
      readonly end: 'failed' | 'slow' | 'blocked' | 'fenced' | 'reopen'
      readonly reason: string
    }
)

export interface CommitInput {
  readonly name: GroupName
  readonly partitions: readonly CommitRequest[]
}

export interface CommitRequest {
  readonly partition: number
  readonly epoch: number
  readonly replay: number
  readonly position: string
}

export type CommitOutcome = { readonly partition: number } & (
  | { readonly outcome: 'committed' }
  /** `reopen`: nobody else works the partition, for example since a person has reset it. */
  | { readonly outcome: 'fenced' | 'reopen' | 'blocked'; readonly reason: string }
)

/** Ends what a batch that did not answer may still be doing: no token up to this one can move progress any more. */
export interface RaiseInput {
  readonly name: GroupName
  readonly partitions: readonly { readonly partition: number; readonly epoch: number; readonly batch: number }[]
}

/** Waits for messages in all slices that are at rest, for partitions that are added, and for slices that do not run. */
export interface PollInput {
  readonly name: GroupName
  /** The partitions that the group knows. */
  readonly partitions: readonly number[]
  readonly slices: number
  /** What the group knows of its record. */
  readonly generation: number
  readonly pauses: Pauses
}

/** Empty lists: nothing to do but to poll again. */
export interface PollResult {
  /** The record holds decisions of people that the group does not know: Temporal was restored to an older state. */
  readonly outdated?: boolean
  readonly added: readonly number[]
  /** Slices whose workflow does not run, though nobody ended it. */
  readonly missing: readonly number[]
  /** Slices whose workflow a person has ended in Temporal. */
  readonly stopped: readonly { readonly slice: number; readonly how: 'cancelled' | 'terminated' }[]
}

/** Activities that every worker of a consumer serves, whatever version of the config it has. They never wait for a slot. */
export interface ControlActivities {
  enroll(input: EnrollInput): Promise<Enrolled>
  note(input: NoteInput): Promise<Pauses>
  /** What the record says afterwards. */
  reslice(input: ResliceInput): Promise<Pick<Enrolled, 'slices' | 'generation'>>
  open(input: OpenInput): Promise<readonly OpenOutcome[]>
  commit(input: CommitInput): Promise<readonly CommitOutcome[]>
  raise(input: RaiseInput): Promise<void>
  poll(input: PollInput): Promise<PollResult>
  /** Which of these slices still run. Waits until none does, or for a while. */
  ended(input: { readonly name: GroupName; readonly slices: readonly number[] }): Promise<readonly number[]>
  /** The config version to continue with when no worker took a batch of version `wanted`: that of the worker which answers. */
  fallback(input: { readonly wanted: string }): Promise<{ readonly version: string }>
}

/** Served only by workers that hold the config version in force. */
export interface BatchActivities {
  process(input: BatchInput): Promise<BatchResult>
  /** Does nothing: that it ends says that a worker with this version is there. */
  present(): Promise<void>
}
