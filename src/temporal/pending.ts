import type { Client } from '@temporalio/client'

/** A batch that is under way, or between two tries. */
export interface PendingBatch {
  /** The ID of its activity. */
  readonly id: string
  /** Set when it has failed at least once. */
  readonly failing?: { readonly attempt: number; readonly reason: string }
  /** ISO time when it was begun. */
  readonly since: string | null
}

/** Failures that say nothing about the handler: the batch's worker is gone, and another one has taken it. */
const ofWorkers = /^activity (Heartbeat|StartToClose|ScheduleToClose) timeout$|^worker .*shut/i

/** A slice's batches, as Temporal sees them. */
export async function pendingBatches(client: Client, workflowId: string): Promise<PendingBatch[]> {
  const { raw } = await client.workflow.getHandle(workflowId).describe()
  const batches = (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === 'process')
  return Promise.all(
    batches.map(async ({ activityId, attempt, lastFailure }) => {
      const id = activityId ?? ''
      const reason = lastFailure?.message ?? ''
      const failed = lastFailure && Number(attempt) > 1 && !ofWorkers.test(reason)
      if (!failed) return { id, since: null }
      return { id, since: await scheduledAt(client, workflowId, id), failing: { attempt: Number(attempt), reason } }
    }),
  )
}

/** When an activity that is still trying was begun. It is among a workflow's last events. */
async function scheduledAt(client: Client, workflowId: string, activityId: string): Promise<string | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId },
    maximumPageSize: 50,
  })
  const begun = history?.events?.find((event) => event.activityTaskScheduledEventAttributes?.activityId === activityId)
  return begun?.eventTime ? new Date(Number(begun.eventTime.seconds) * 1000).toISOString() : null
}
