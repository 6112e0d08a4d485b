/**
 * What a group's workflows know of the config in force. The config itself (handlers, connections, limits) stays in the
 * workers; only its name and the few numbers that Temporal needs for scheduling travel.
 */
export interface Revision {
  /** Names the config: the same text in every worker that was started with the same settings. */
  readonly version: string
  /** When and by whom it was put in force, for people. */
  readonly startedAt: string
  readonly startedBy: string
  readonly queues: Queues
  readonly timing: Timing
  /** Set where the consumer reads to an end: the head that each partition had when the run began, or a message that says so. */
  readonly until?: 'head' | 'message'
  /** The number of slices that the consumer's options name. Counts only when the group is created. */
  readonly slices?: number
}

/** Task queues of one consumer. Workflow tasks have a queue of their own, which the consumers of a deployment share. */
export interface Queues {
  /** enroll, open, commit, poll and their like: any worker of this consumer. */
  readonly control: string
  /** process, by a worker that holds a given version: `${batches}${version}`. */
  readonly batches: string
}

/** Numbers that Temporal enforces; all in ms. */
export interface Timing {
  readonly heartbeatTimeoutMs: number
  /** The longest that a batch stays open while messages keep coming. */
  readonly batchMs: number
}

/** Queue names of a consumer; `base` is the deployment's workflow queue. */
export function queuesOf(base: string, group: string, stream: string): Queues {
  return { control: `${base}/${group}/${stream}/control`, batches: `${base}/${group}/${stream}/process@` }
}

export function batchQueue(queues: Queues, version: string): string {
  return `${queues.batches}${version}`
}
