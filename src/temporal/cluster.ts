import { AsyncResource } from 'node:async_hooks'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { Cluster, WorkflowLook } from '../../activities/index.js'

/** A worker's poll stays open for about a minute, and counts from its beginning. */
const pollLifetimeMs = 75_000
/** How long Temporal may take to answer, ms. Who asks has to know soon whether it does. */
const patience = 5_000
/** temporal.api.enums.v1.TaskQueueType */
const activityQueue = 2
/** temporal.api.enums.v1.PendingActivityState */
const cancelRequested = 3

/** Temporal, as far as activities ask it something. */
export class TemporalCluster implements Cluster {
  /**
   * The SDK ends the requests of an activity that is cancelled. A batch still has to ask how it stands then, so its questions are asked
   * from where this was made.
   */
  readonly #outside = new AsyncResource('TemporalCluster')

  constructor(private readonly client: Client) {}

  async hasPollers(taskQueue: string): Promise<boolean> {
    return (await this.pollers(taskQueue)).size > 0
  }

  /** Identities of the workers that have asked this queue for activities lately. One that is gone is among them for a while. */
  pollers(taskQueue: string): Promise<ReadonlySet<string>> {
    return this.#ask(async () => {
      const { pollers } = await this.client.workflowService.describeTaskQueue({
        namespace: this.client.options.namespace,
        taskQueue: { name: taskQueue },
        taskQueueType: activityQueue,
      })
      const since = (Date.now() - pollLifetimeMs) / 1000
      const recent = (pollers ?? []).filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since)
      return new Set(recent.map(({ identity }) => identity ?? ''))
    })
  }

  look(workflowId: string): Promise<WorkflowLook | null> {
    return this.#ask(async () => {
      try {
        const { status, memo, raw } = await this.client.workflow.getHandle(workflowId).describe()
        const pending = raw.pendingActivities ?? []
        return {
          status: statusOf(status.name),
          memo: memo ?? {},
          cancelled: new Set(
            pending.filter(({ state }) => state === cancelRequested).map(({ activityId }) => activityId ?? ''),
          ),
          pending: pending.map(({ activityType }) => activityType?.name ?? ''),
        }
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return null
        throw error
      }
    })
  }

  signal(workflowId: string, signal: string, ...args: unknown[]): Promise<void> {
    return this.#ask(async () => {
      try {
        await this.client.workflow.getHandle(workflowId).signal(signal, ...args)
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error
      }
    })
  }

  #ask<T>(ask: () => Promise<T>): Promise<T> {
    return this.#outside.runInAsyncScope(() => this.client.withDeadline(Date.now() + patience, ask))
  }
}

function statusOf(name: string): WorkflowLook['status'] {
  if (name === 'RUNNING') return 'running'
  if (name === 'CANCELLED') return 'cancelled'
  return name === 'TERMINATED' ? 'terminated' : 'ended'
}
