import { type Client, WorkflowFailedError, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client'
import type { GroupStatus } from '../model/commands.js'
import { messageOf } from '../model/errors.js'
import { type GroupName, groupWorkflowId } from '../model/partition.js'
import { ownReason } from './stranded.js'

/**
 * The last run of a group's workflow:
 *
 * - `running`
 * - `finished`                every partition of a bounded run is where it ends
 * - `cancelled`, `terminated` a person has ended it in Temporal
 * - `failed`                  it ended, though it should run; or Tidemark has ended it for another build to start it again
 */
export interface GroupWorkflow {
  readonly state: 'running' | 'finished' | 'cancelled' | 'terminated' | 'failed'
  readonly runId: string
  /** The first of the runs that have continued one another up to this one. */
  readonly firstRunId: string
  readonly taskQueue: string
  readonly endedAt: Date | null
  /** What became of a finished run. */
  readonly result: GroupStatus | null
  /** How it ended, for people: `its workflow timed out`. */
  readonly why: string
}

/** Looks at a group's workflow; null where Temporal knows none. Needs no worker. Temporal does not bill it. */
export async function lookAtGroup(client: Client, { group, stream }: GroupName): Promise<GroupWorkflow | null> {
  const workflowId = groupWorkflowId(group, stream)
  try {
    const { status, runId, taskQueue, closeTime, raw } = await client.workflow.getHandle(workflowId).describe()
    const firstRunId = raw.workflowExecutionInfo?.firstRunId || runId
    const found = { runId, firstRunId, taskQueue, endedAt: closeTime ?? null, result: null }
    switch (status.name) {
      case 'CANCELLED':
      case 'TERMINATED': {
        const state = status.name === 'CANCELLED' ? ('cancelled' as const) : ('terminated' as const)
        const own = state === 'terminated' ? await ownReason(client, workflowId, runId) : null
        if (own !== null) return { ...found, state: 'failed', why: `Tidemark has ended its workflow: ${own}` }
        return { ...found, state, why: `its workflow was ${state} in Temporal` }
      }
      case 'TIMED_OUT':
        return { ...found, state: 'failed', why: 'its workflow timed out' }
      case 'COMPLETED':
      case 'FAILED':
        return { ...found, ...(await endOf(client.workflow.getHandle(workflowId, runId, { followRuns: false }))) }
      default:
        return { ...found, state: 'running', why: '' }
    }
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}

async function endOf(handle: WorkflowHandle): Promise<Pick<GroupWorkflow, 'state' | 'result' | 'why'>> {
  try {
    const result = (await handle.result()) as GroupStatus
    if (result.revision.until !== undefined) return { state: 'finished', result, why: 'its bounded run is over' }
    return { state: 'failed', result: null, why: 'its workflow was completed, though it reads without an end' }
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error
    return { state: 'failed', result: null, why: `its workflow failed: ${messageOf(error.cause ?? error)}` }
  }
}
