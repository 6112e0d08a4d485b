import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import { type GroupStatus, type Mode, names, type PartitionStatus } from '../model/commands.js'
import { type GroupName, groupWorkflowId, partitionWorkflowId } from '../model/partition.js'
import { answered } from '../temporal/answers.js'

const lanes = 16

/** One partition, as people want to see it. */
export interface PartitionView {
  readonly partition: number
  /** `retrying` is a running partition whose batch has failed at least once. */
  readonly state: Mode | 'retrying' | 'not running'
  readonly reason: string
  readonly since: string
  /** Whether a batch is under way; else it waits for messages, or does nothing. */
  readonly working: boolean
  /** Decimal offsets; absent before the partition has an owner. */
  readonly position?: string
  readonly committed?: string
  readonly head?: string
  readonly epoch?: number
  readonly batch?: number
  readonly messages?: number
  /** Version of the config that the next batch is worked with. */
  readonly config?: string
}

export interface GroupView {
  readonly group: string
  readonly stream: string
  /** The config in force, and who put it there. */
  readonly config: { readonly version: string; readonly startedAt: string; readonly startedBy: string }
  readonly paused: string | null
  readonly partitions: readonly PartitionView[]
}

/**
 * What a group and its partitions are doing. Needs a running worker, since Temporal asks the workflows themselves; only what a
 * finished run has become is known without.
 *
 * @param patienceMs how long it may take
 * @throws TidemarkError UNKNOWN_CONSUMER where it was never started, UNREACHABLE when no worker answers
 */
export async function groupStatus(client: Client, name: GroupName, patienceMs?: number): Promise<GroupView> {
  const handle = client.workflow.getHandle(groupWorkflowId(name.group, name.stream))
  const ended = async () => (await handle.describe()).status.name === 'COMPLETED'
  const finished = await answered(client, name, ended, patienceMs)
  const ask = (): Promise<GroupStatus> => (finished ? handle.result() : handle.query<GroupStatus>(names.status))
  const { revision, paused, partitions, reports } = await answered(client, name, ask, patienceMs)
  const { version, startedAt, startedBy } = revision
  const group = {
    ...name,
    config: { version, startedAt, startedBy },
    paused: paused ? paused.reason || 'no reason given' : null,
  }
  if (finished) {
    const views = reports.map(({ mode, ...report }) => ({ ...report, state: mode, working: false, config: version }))
    return { ...group, partitions: views }
  }
  const views: PartitionView[] = []
  const queue = [...partitions]
  const look = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      views.push(await partitionStatus(client, name, next))
  }
  await answered(client, name, () => Promise.all(Array.from({ length: lanes }, look)), patienceMs)
  return { ...group, partitions: views.sort((a, b) => a.partition - b.partition) }
}

async function partitionStatus(client: Client, name: GroupName, partition: number): Promise<PartitionView> {
  const handle = client.workflow.getHandle(partitionWorkflowId({ ...name, partition }))
  try {
    const [status, description] = await Promise.all([handle.query<PartitionStatus>(names.status), handle.describe()])
    const pending = description.raw.pendingActivities ?? []
    const failing = pending.find(({ lastFailure, attempt }) => lastFailure && Number(attempt) > 1)
    const { mode, reason, since, version, progress } = status
    return {
      partition,
      ...(mode === 'running' && failing
        ? {
            state: 'retrying' as const,
            reason: `attempt ${failing.attempt}: ${failing.lastFailure?.message ?? ''}`,
            since: (await scheduledAt(client, handle.workflowId, failing.activityId)) ?? since,
          }
        : { state: mode, reason, since }),
      working: pending.some(({ activityType }) => activityType?.name === 'process'),
      config: version,
      ...(progress
        ? {
            position: progress.position,
            committed: progress.committed,
            head: progress.head,
            epoch: progress.epoch,
            batch: progress.batch,
            messages: progress.messages,
          }
        : {}),
    }
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
    return {
      partition,
      state: 'not running',
      reason: 'its workflow is gone; the group starts it again within minutes',
      since: '',
      working: false,
    }
  }
}

/** When an activity that is still trying was begun. It is among a workflow's last events. */
async function scheduledAt(
  client: Client,
  workflowId: string,
  activityId: string | null | undefined,
): Promise<string | null> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: client.options.namespace,
    execution: { workflowId },
    maximumPageSize: 50,
  })
  const begun = history?.events?.find((event) => event.activityTaskScheduledEventAttributes?.activityId === activityId)
  return begun?.eventTime ? new Date(Number(begun.eventTime.seconds) * 1000).toISOString() : null
}
