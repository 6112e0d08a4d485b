import { type GroupName, idPart } from './partition.js'

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
  /** Set where nothing polls: see `ConsumerSettings.waiting`. */
  readonly waiting?: 'signals'
}

/**
 * Task queues of one consumer. Each carries the generation of the workflows, so that two builds of Tidemark which run side by side never
 * replay each other's workflows, nor work each other's activities.
 */
export interface Queues {
  /** Workflow tasks. The consumers of a deployment share it. */
  readonly workflows: string
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

/** Queue names of a consumer of the deployment `base`, for workers with this generation of the workflows. */
export function queuesOf(base: string, generation: string, { group, stream }: GroupName): Queues {
  const consumer = `${base}/${idPart(group)}/${idPart(stream)}`
  return {
    workflows: `${base}/workflows@${generation}`,
    control: `${consumer}/control@${generation}`,
    batches: `${consumer}/process@${generation}@`,
  }
}

/** The deployment that a queue of workflows belongs to. */
export function deploymentOf(workflows: string): string {
  return workflows.replace(/\/workflows@[^/]*$/, '')
}

export function batchQueue(queues: Queues, version: string): string {
  return `${queues.batches}${version}`
}
