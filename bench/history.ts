import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import { bySlice, defaultSlices, sliceWorkflowId } from '../src/model/partition.js'
import type { Job } from './job.js'

/** IDs of the workflows that own the partitions of a job's group. */
export function sliceIds({ group, log, partitions, settings }: Job): string[] {
  const stream = log.kind === 'kafka' ? log.topic : log.superStream
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const slices = settings?.slices ?? defaultSlices(partitions)
  return [...bySlice(all, slices).keys()].map((slice) => sliceWorkflowId({ group, stream }, slice))
}

/** Events in the histories of all runs of these workflows: what Temporal had to write. */
export async function historyEvents(client: Client, workflowIds: readonly string[]): Promise<number> {
  const lengths = await Promise.all(workflowIds.map((id) => eventsOf(client, id)))
  return lengths.reduce((total, length) => total + length, 0)
}

/** Ends the workflows, so that they don't keep Temporal busy during the next run. */
export async function terminate(client: Client, workflowIds: readonly string[]): Promise<void> {
  await Promise.all(
    workflowIds.map((id) =>
      client.workflow
        .getHandle(id)
        .terminate('the run is over')
        .catch((error: unknown) => {
          if (!(error instanceof WorkflowNotFoundError)) throw error
        }),
    ),
  )
}

/** Follows a chain of continue-as-new back from its last run: the histories know it, whereas the index of runs lags. */
async function eventsOf(client: Client, workflowId: string): Promise<number> {
  let events = 0
  let runId: string | undefined
  do {
    const run = client.workflow.getHandle(workflowId, runId)
    const { historyLength, runId: thisRun } = await run.describe()
    events += historyLength
    runId = await previousRun(client, workflowId, thisRun)
  } while (runId !== undefined)
  return events
}

/** The run that continued as this one, if any; its first event names it. */
async function previousRun(client: Client, workflowId: string, runId: string): Promise<string | undefined> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  })
  return history?.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined
}
