import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { Cluster } from '../../activities/index.js'

/** Requests to Temporal at a time. */
const lanes = 20
/** A worker's poll stays open for about a minute, and counts from its beginning. */
const pollLifetimeMs = 75_000
/** temporal.api.enums.v1.TaskQueueType */
const activityQueue = 2

/** Temporal, as far as activities ask it something. */
export class TemporalCluster implements Cluster {
  constructor(private readonly client: Client) {}

  async notRunning(workflowIds: readonly string[]): Promise<readonly string[]> {
    const gone: string[] = []
    const queue = [...workflowIds]
    const look = async () => {
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) if (!(await this.#runs(id))) gone.push(id)
    }
    await Promise.all(Array.from({ length: lanes }, look))
    return gone
  }

  async hasPollers(taskQueue: string): Promise<boolean> {
    const { pollers } = await this.client.workflowService.describeTaskQueue({
      namespace: this.client.options.namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: activityQueue,
    })
    const since = (Date.now() - pollLifetimeMs) / 1000
    return (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since)
  }

  async #runs(id: string): Promise<boolean> {
    try {
      return (await this.client.workflow.getHandle(id).describe()).status.name === 'RUNNING'
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false
      throw error
    }
  }
}
