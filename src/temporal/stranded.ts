import { type Client, type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client'
import { names } from '../model/commands.js'
import { deploymentOf } from '../model/revision.js'
import { isAnswered } from './answers.js'
import { lastEvents } from './last-events.js'
import { SetBack } from './set-back.js'

/*
 * Workflows run on the task queue of the build of Tidemark that started them, and continue on another build's when a worker of that build
 * puts its config in force. That takes a worker of the old build. Where none is left (a plain restart with a new version, a roll-back to an
 * old one, a deploy that ends too early), the workflow is ended, and started anew on a queue that has workers: positions and pauses
 * are in the store, so nothing is lost.
 *
 * The same becomes of workflows that Temporal was restored to an older state of, under workers that run (set-back.ts).
 */

/** The prefix of termination reasons that Tidemark gives, as opposed to a person who works in Temporal. */
export const prefix = 'tidemark: '
const reason = `${prefix}no worker is left that has its code; it is started again for the workers that are there`
const divergedReason = `${prefix}Temporal was restored to an older state of it than its workers have; it is started again`

/** After this many failures in a row, a workflow task is looked at. */
const failuresInARow = 3
/** temporal.api.enums.v1.WorkflowTaskFailedCause */
const nonDeterministic = 24

/** What waits this long for a worker has none, ms. By this machine's clock alone: Temporal's may say something else. */
const untakenFor = 10_000
/** How long a worker may take to answer a query, ms. */
const answersWithin = 3_000
/** A worker's poll stays open for about a minute, and counts from its beginning, ms. */
export const pollLifetimeMs = 75_000

/** temporal.api.enums.v1.TaskQueueType */
const activityQueue = 2
/** temporal.api.enums.v1.PendingWorkflowTaskState, and PendingActivityState */
const taskScheduled = 1
const activityStarted = 2
const cancelRequested = 3

/**
 * Identities of the workers that have asked this queue for activities lately: as late as the last of them, or a little sooner. One that is gone
 * is among them for a while. Temporal does not bill it.
 */
export async function pollersOf(client: Client, taskQueue: string): Promise<ReadonlySet<string>> {
  const asked = await lastPolls(client, taskQueue)
  const since = Math.max(...asked.values()) - pollLifetimeMs
  return new Set([...asked].flatMap(([identity, at]) => (at > since ? [identity] : [])))
}

/** When each worker has last asked this queue for activities, ms since 1970 by Temporal's clock. Those that are gone stay for some minutes. */
export async function lastPolls(client: Client, taskQueue: string): Promise<ReadonlyMap<string, number>> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: activityQueue,
  })
  return new Map(
    (pollers ?? []).map(({ identity, lastAccessTime }) => [
      identity ?? '',
      Number(lastAccessTime?.seconds ?? 0) * 1000,
    ]),
  )
}

/** Workflows that no worker goes on with. Remembers since when each has waited for one. */
export class StrandedWorkflows {
  readonly #waiting = new Map<string, { readonly forWhat: string; readonly since: number }>()

  readonly setBack = new SetBack()

  constructor(private readonly client: Client) {}

  /**
   * Ends a workflow of another build that no worker goes on with, and one of the own build that no worker can replay. To be asked again and
   * again: a workflow that is seen for the first time may have a worker.
   *
   * @param queue where it would have to run to be worked: the own build's queue of workflows
   * @returns whether it was ended. False where it does not run, runs in another deployment, or may have a worker still
   */
  async end(workflowId: string, queue: string): Promise<boolean> {
    try {
      const found = await this.setBack.look(workflowId, () => this.client.workflow.getHandle(workflowId).describe())
      if (found.status.name !== 'RUNNING') return false
      const diverged = found.taskQueue === queue && (found.outdated || (await this.#isDiverged(found)))
      const stranded = isOfOtherBuild(found.taskQueue, queue) && (await this.#isStranded(found))
      if (!diverged && !stranded) return false
      // Only this run: a worker may have come back, and it may run on another queue by now.
      await this.client.workflow.getHandle(workflowId, found.runId).terminate(diverged ? divergedReason : reason)
      this.#waiting.delete(workflowId)
      return true
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false
      throw error
    }
  }

  /** Other failures pass: of a worker that is short of memory, for example. */
  async #isDiverged({ raw, workflowId, runId }: WorkflowExecutionDescription): Promise<boolean> {
    if (!isFailing(raw)) return false
    const events = await lastEvents(this.client, { workflowId, runId }, 10)
    // Temporal does not write down every failure in a row. Signals may have come since.
    const last = events.find(
      (event) => event.workflowTaskFailedEventAttributes || event.workflowTaskCompletedEventAttributes,
    )
    return last?.workflowTaskFailedEventAttributes?.cause === nonDeterministic
  }

  async #isStranded({ raw, workflowId, runId }: WorkflowExecutionDescription): Promise<boolean> {
    const forWhat = await this.#waitsFor(raw, workflowId, runId)
    if (forWhat === null) {
      this.#waiting.delete(workflowId)
      return false
    }
    const known = this.#waiting.get(workflowId)
    const waiting = known?.forWhat === forWhat ? known : { forWhat, since: performance.now() }
    this.#waiting.set(workflowId, waiting)
    return performance.now() - waiting.since >= untakenFor
  }

  /** What the workflow has no worker for at the moment; null where it has one. */
  async #waitsFor(
    { pendingActivities, pendingWorkflowTask: task }: WorkflowExecutionDescription['raw'],
    workflowId: string,
    runId: string,
  ): Promise<string | null> {
    // A worker that stops takes no more workflow tasks, and still finishes what it has in hand. Temporal misses one that was killed.
    if (pendingActivities?.some(({ state }) => state === activityStarted || state === cancelRequested)) return null
    if (task) {
      const { seconds, nanos } = task.scheduledTime ?? {}
      return task.state === taskScheduled ? `${runId} task ${seconds}.${nanos}` : null
    }
    const ask = () => this.client.workflow.getHandle(workflowId, runId).query(names.status)
    return (await isAnswered(this.client, ask, answersWithin)) ? null : `${runId} answer`
  }
}

/** Whether the workers of a workflow have failed to go on with it several times in a row. */
export function isFailing({ pendingWorkflowTask }: WorkflowExecutionDescription['raw']): boolean {
  return (pendingWorkflowTask?.attempt ?? 0) > failuresInARow
}

/** Whether a workflow on that queue belongs to the same deployment, and to another build of Tidemark. */
export function isOfOtherBuild(taskQueue: string, own: string): boolean {
  return taskQueue !== own && deploymentOf(taskQueue) === deploymentOf(own)
}

/** Why Tidemark itself has terminated a run, for people; null where a person has. */
export async function ownReason(client: Client, workflowId: string, runId: string): Promise<string | null> {
  const [last] = await lastEvents(client, { workflowId, runId }, 1)
  const given = last?.workflowExecutionTerminatedEventAttributes?.reason ?? ''
  return isOwnReason(given) ? given.slice(prefix.length) : null
}

/** Whether Tidemark itself has terminated a workflow that was terminated for this reason. */
export function isOwnReason(text: string): boolean {
  return text.startsWith(prefix)
}
