import { type Client, type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client'
import type { ParsedConfig } from '../config/parse.js'
import { type GroupName, groupWorkflowId } from '../model/partition.js'
import { deploymentOf, type Queues, queuesOf } from '../model/revision.js'
import { workflowGeneration } from '../temporal/generation.js'
import type { GroupWorkflow } from '../temporal/group-workflow.js'
import { lastPolls } from '../temporal/stranded.js'

/** temporal.api.enums.v1.PendingActivityState: a worker has it. */
const inHand = new Set([2, 3])

/** The queues of a group: of the build that its workflow belongs to, and of this one. */
export async function groupQueues(
  { taskQueue }: Pick<ParsedConfig, 'taskQueue'>,
  name: GroupName,
  workflow: GroupWorkflow | null,
): Promise<Queues[]> {
  const own = queuesOf(taskQueue, await workflowGeneration(), name)
  if (!workflow || workflow.taskQueue === own.workflows) return [own]
  const generation = /@([^/@]*)$/.exec(workflow.taskQueue)?.[1] ?? ''
  return [queuesOf(deploymentOf(workflow.taskQueue), generation, name), own]
}

/** When each worker that has the group in its config has last asked Temporal for work, ms since 1970. */
export async function groupPolls(client: Client, queues: readonly Queues[]): Promise<ReadonlyMap<string, number>> {
  const polls = await Promise.all(queues.map(({ control }) => lastPolls(client, control)))
  return new Map(polls.flatMap((one) => [...one]))
}

/** Workers that wait for messages on behalf of the group. One that is gone is among them until Temporal misses its heartbeat. */
export async function waitingFor(client: Client, { group, stream }: GroupName): Promise<readonly string[]> {
  return pendingIn(await described(client, groupWorkflowId(group, stream)), 'poll').map(({ identity }) => identity)
}

/** Activities of a type that workers have in hand. */
export function pendingIn(description: WorkflowExecutionDescription | null, type: string) {
  return (description?.raw.pendingActivities ?? [])
    .filter(({ activityType, state }) => activityType?.name === type && inHand.has(state ?? 0))
    .map(({ lastWorkerIdentity, activityId }) => ({ identity: lastWorkerIdentity ?? '', id: activityId ?? '' }))
    .filter(({ identity }) => identity !== '')
}

/** Null where the workflow does not run. */
export async function described(client: Client, workflowId: string): Promise<WorkflowExecutionDescription | null> {
  try {
    const description = await client.workflow.getHandle(workflowId).describe()
    return description.status.name === 'RUNNING' ? description : null
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}
