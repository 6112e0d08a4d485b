import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { type GroupName, groupWorkflowId } from '../model/partition.js'
import { lookAtGroup } from '../temporal/group-workflow.js'
import { isOfOtherBuild, StrandedWorkflows } from '../temporal/stranded.js'

const lookEvery = 500
/** Workers that are up keep looking after it, so nobody waits for longer than that, ms. */
const patience = 60_000

/**
 * Waits until a group that was told of this build's config is in the hands of this build: it continues on the build's queue of workflows
 * as soon as a worker of its own build has read the signal. Where no such worker is left, it is ended.
 *
 * @returns false where it was ended, and has to be started again
 */
export async function handedOver(client: Client, { group, stream }: GroupName, queue: string): Promise<boolean> {
  const until = performance.now() + patience
  const stranded = new StrandedWorkflows(client)
  for (;;) {
    const workflow = await lookAtGroup(client, { group, stream })
    // A worker that noticed first may have ended it. Whatever else has ended it is not undone.
    if (workflow?.state !== 'running') return workflow?.state !== 'failed' || !isOfOtherBuild(workflow.taskQueue, queue)
    if (workflow.taskQueue === queue) return true
    if (await stranded.end(groupWorkflowId(group, stream), queue)) return false
    if (performance.now() > until) return true
    await sleep(lookEvery)
  }
}
