import { type Client, type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client'
import { deploymentOf } from '../model/revision.js'

/*
 * Workflows run on the task queue of the build of Tidemark that started them, and continue on another build's when a worker of that build
 * puts its config in force. That takes a worker of the old build. Where none is left (a plain restart with a new version, a roll-back to an
 * old one, a deploy that ends too early), the workflow is ended, and started anew on a queue that has workers: positions and pauses
 * are in the store, so nothing is lost.
 */

/** The prefix of termination reasons that Tidemark gives, as opposed to a person. */
const prefix = 'tidemark: '
const reason = `${prefix}no worker is left that has its code; it is started again for the workers that are there`

/** A workflow task that waits this long has no worker, ms. */
const untakenFor = 10_000
/** A worker's poll stays open for about a minute, and counts from its beginning, ms. */
const pollLifetimeMs = 75_000

/** temporal.api.enums.v1.TaskQueueType */
export const queueType = { workflow: 1, activity: 2 } as const
/** temporal.api.enums.v1.PendingWorkflowTaskState, and PendingActivityState */
const taskScheduled = 1
const activityStarted = 2
const cancelRequested = 3

/** Identities of the workers that have asked this queue for tasks lately. One that is gone is among them for a while. Temporal does not bill it. */
export async function pollersOf(client: Client, taskQueue: string, type: 1 | 2): Promise<ReadonlySet<string>> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: type,
  })
  const since = (Date.now() - pollLifetimeMs) / 1000
  const recent = (pollers ?? []).filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since)
  return new Set(recent.map(({ identity }) => identity ?? ''))
}

/** Whether any worker has asked this queue for tasks lately. */
export async function hasPollers(client: Client, taskQueue: string, type: 1 | 2): Promise<boolean> {
  return (await pollersOf(client, taskQueue, type)).size > 0
}

/**
 * Ends a workflow of another build that no worker goes on with.
 *
 * @param queue where it would have to run to be worked: the own build's queue of workflows
 * @returns whether it was ended. False where it does not run, runs on that queue or in another deployment, or has a worker still
 */
export async function endStranded(client: Client, workflowId: string, queue: string): Promise<boolean> {
  try {
    const found = await client.workflow.getHandle(workflowId).describe()
    if (found.status.name !== 'RUNNING' || !isOfOtherBuild(found.taskQueue, queue)) return false
    if (!(await isStranded(client, found))) return false
    // Only this run: a worker may have come back, and it may run on another queue by now.
    await client.workflow.getHandle(workflowId, found.runId).terminate(reason)
    return true
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false
    throw error
  }
}

/** Whether a workflow on that queue belongs to the same deployment, and to another build of Tidemark. */
export function isOfOtherBuild(taskQueue: string, own: string): boolean {
  return taskQueue !== own && deploymentOf(taskQueue) === deploymentOf(own)
}

async function isStranded(client: Client, { raw, taskQueue }: WorkflowExecutionDescription): Promise<boolean> {
  // A worker that stops takes no more workflow tasks, and still finishes what it has in hand. Temporal misses one that was killed.
  const inHand = raw.pendingActivities?.some(({ state }) => state === activityStarted || state === cancelRequested)
  if (inHand) return false
  const task = raw.pendingWorkflowTask
  if (!task) return !(await hasPollers(client, taskQueue, queueType.workflow))
  return task.state === taskScheduled && Date.now() - Number(task.scheduledTime?.seconds ?? 0) * 1000 >= untakenFor
}

/** Why Tidemark itself has terminated a run, for people; null where a person has. */
export async function ownReason(client: Client, workflowId: string, runId: string): Promise<string | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  })
  const given = history?.events?.[0]?.workflowExecutionTerminatedEventAttributes?.reason ?? ''
  return isOwnReason(given) ? given.slice(prefix.length) : null
}

/** Whether Tidemark itself has terminated a workflow that was terminated for this reason. */
export function isOwnReason(text: string): boolean {
  return text.startsWith(prefix)
}
