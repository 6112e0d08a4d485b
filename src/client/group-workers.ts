import type { Client } from '@temporalio/client'
import type { ParsedConfig } from '../config/parse.js'
import type { GroupName } from '../model/partition.js'
import { deploymentOf, type Queues, queuesOf } from '../model/revision.js'
import { workflowGeneration } from '../temporal/generation.js'
import type { GroupWorkflow } from '../temporal/group-workflow.js'
import { lastPolls } from '../temporal/stranded.js'

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
