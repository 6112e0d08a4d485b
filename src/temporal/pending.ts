import type { Client } from '@temporalio/client'
import { letGo } from '../model/commands.js'

/** A batch that is under way, or between two tries. */
export interface PendingBatch {
  /** The ID of its activity. */
  readonly id: string
  /** Set when it has failed at least once. */
  readonly failing?: { readonly attempt: number; readonly reason: string }
  /** A worker has it; else it waits for one, or for its next try. */
  readonly taken: boolean
  /** ISO time when its activity was scheduled. */
  readonly since: string | null
}

/** temporal.api.enums.v1.PendingActivityState */
const scheduled = 1

/** A slice's batches, as Temporal sees them. */
export async function pendingBatches(client: Client, workflowId: string): Promise<PendingBatch[]> {
  const { raw } = await client.workflow.getHandle(workflowId).describe()
  const batches = (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === 'process')
  return Promise.all(
    batches.map(async ({ activityId, state, attempt, lastFailure }) => {
      const id = activityId ?? ''
      const taken = state !== scheduled
      // A lost worker, or one that let go of the batch, says nothing about the handler.
      const error = lastFailure?.applicationFailureInfo
      if (!error || error.type === letGo || Number(attempt) < 2) return { id, taken, since: null }
      const failing = { attempt: Number(attempt), reason: lastFailure.message ?? '' }
      return { id, taken, since: await scheduledAt(client, workflowId, id), failing }
    }),
  )
}

/** When a pending activity was scheduled, found among the workflow's last events. */
async function scheduledAt(client: Client, workflowId: string, activityId: string): Promise<string | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId },
    maximumPageSize: 50,
  })
  const begun = history?.events?.find((event) => event.activityTaskScheduledEventAttributes?.activityId === activityId)
  return begun?.eventTime ? new Date(Number(begun.eventTime.seconds) * 1000).toISOString() : null
}
