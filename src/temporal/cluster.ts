import { AsyncResource } from 'node:async_hooks'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { Cluster, WorkflowLook } from '../../activities/index.js'
import { batchesAmong, troubleOf, wasLost } from './pending.js'
import { isFailing, ownReason, pollersOf, StrandedWorkflows } from './stranded.js'

/** How long Temporal may take to answer, ms. The caller has to know soon whether it answers at all. */
const patience = 5_000
/** temporal.api.enums.v1.PendingActivityState */
const cancelRequested = 3

/** Temporal, as far as activities ask it something. */
export class TemporalCluster implements Cluster {
  /**
   * The SDK ends the requests of an activity that is cancelled. A batch still has to ask how it stands then, so its questions are asked
   * from where this was made.
   */
  readonly #outside = new AsyncResource('TemporalCluster')

  readonly stranded: StrandedWorkflows

  constructor(private readonly client: Client) {
    this.stranded = new StrandedWorkflows(client)
  }

  /** Identities of the workers that have asked this queue for activities lately. One that is gone is among them for a while. */
  pollers(taskQueue: string): Promise<ReadonlySet<string>> {
    return this.#ask(() => pollersOf(this.client, taskQueue))
  }

  look(workflowId: string): Promise<WorkflowLook | null> {
    return this.#ask(async () => {
      try {
        const { setBack } = this.stranded
        const described = await setBack.look(workflowId, () => this.client.workflow.getHandle(workflowId).describe())
        const { status, memo, raw, taskQueue, runId } = described
        const pending = raw.pendingActivities ?? []
        const batches = await batchesAmong(described, this.client.options.loadedDataConverter)
        return {
          status: await this.#statusOf(status.name, workflowId, runId),
          taskQueue,
          memo: memo ?? {},
          failing: status.name === 'RUNNING' && (described.outdated || isFailing(raw)),
          cancelled: new Set(
            pending.filter(({ state }) => state === cancelRequested).map(({ activityId }) => activityId ?? ''),
          ),
          lost: new Set(batches.filter(wasLost).map(({ activityId }) => activityId ?? '')),
          batches: new Map(batches.map((activity) => [activity.activityId ?? '', troubleOf(activity)] as const)),
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

  endStranded(workflowId: string, queue: string): Promise<boolean> {
    return this.#ask(() => this.stranded.end(workflowId, queue))
  }

  async #statusOf(name: string, workflowId: string, runId: string): Promise<WorkflowLook['status']> {
    if (name === 'RUNNING') return 'running'
    if (name === 'CANCELLED') return 'cancelled'
    if (name !== 'TERMINATED') return 'ended'
    return (await ownReason(this.client, workflowId, runId)) === null ? 'terminated' : 'ended'
  }

  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    const asked = this.#outside.runInAsyncScope(() => this.client.withDeadline(Date.now() + patience, ask))
    // A worker's connection retries by itself and keeps deadlines only roughly.
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Temporal has not answered for ${patience} ms`)), patience)
    })
    return Promise.race([asked, late]).finally(() => clearTimeout(timer))
  }
}
