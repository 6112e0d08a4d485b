import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import {
  type GroupStatus,
  names,
  type PartitionReport,
  type PartitionStatus,
  type SliceStatus,
} from '../model/commands.js'
import type { Condition } from '../model/condition.js'
import { eachOf } from '../model/each-of.js'
import { TidemarkError } from '../model/errors.js'
import { bySlice, describePartition, type GroupName, groupWorkflowId, sliceWorkflowId } from '../model/partition.js'
import { answered, neverStarted } from '../temporal/answers.js'
import { type GroupWorkflow, lookAtGroup } from '../temporal/group-workflow.js'
import { type PendingBatch, pendingBatches } from '../temporal/pending.js'

/** Slices asked at the same time. */
const lanes = 16

/** One partition, as people want to see it. */
export interface PartitionView {
  readonly partition: number
  /**
   * A partition's condition, where people have not paused it; and besides
   *
   * - `running`     healthy
   * - `retrying`    its batch has failed at least once and is tried again
   * - `held`        a person has paused the activity of its batch in Temporal
   * - `pausing`     paused, with a chunk still in hand
   * - `waiting`     what its handler needs is away
   * - `not running` its workflow is gone
   */
  readonly state: Exclude<Condition, 'healthy'> | 'running' | 'held' | 'waiting' | 'pausing' | 'paused' | 'not running'
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
  /** ISO time: since when its handler has been at one chunk, where that takes longer than some seconds. */
  readonly chunkSince?: string
  /** What its handler needs and is away, and since when (ISO time). It goes on by itself. */
  readonly waitsFor?: { readonly for: string; readonly since: string }
  /** Version of the config of its batch, or of the next one. */
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
 * @throws TidemarkError UNKNOWN_CONSUMER where it does not run, UNREACHABLE when no worker answers
 */
export async function groupStatus(client: Client, name: GroupName, patienceMs?: number): Promise<GroupView> {
  const workflow = await answered(client, name, () => lookAtGroup(client, name), patienceMs)
  const view = await statusBy(client, name, workflow, patienceMs)
  if (view) return view
  if (!workflow) throw neverStarted(name)
  throw new TidemarkError('UNKNOWN_CONSUMER', `group ${name.group} on ${name.stream} does not run: ${workflow.why}`, {
    place: name,
  })
}

/** As `groupStatus`, after a look at the group's workflow; null where it does not run. */
export async function statusBy(
  client: Client,
  name: GroupName,
  workflow: GroupWorkflow | null,
  patienceMs?: number,
): Promise<GroupView | null> {
  if (workflow?.state === 'finished') {
    const { reports, ...status } = workflow.result!
    const partitions = reports.map((report) => ({
      ...viewOf(report),
      working: false,
      config: status.revision.version,
    }))
    return { ...groupOf(status), partitions }
  }
  if (workflow?.state !== 'running') return null
  const status = await answered(client, name, () => statusOf(client, name), patienceMs)
  const owned = [...bySlice(status.partitions, status.slices)]
  const views = await answered(
    client,
    name,
    () => eachOf(owned, lanes, ([slice, theirs]) => sliceViews(client, name, slice, theirs)),
    patienceMs,
  )
  return { ...groupOf(status), partitions: views.flat().sort((a, b) => a.partition - b.partition) }
}

function groupOf({ group, stream, revision, pauses }: Omit<GroupStatus, 'reports'>): Omit<GroupView, 'partitions'> {
  const { version, startedAt, startedBy } = revision
  const paused = pauses.group ? pauses.group.reason || 'no reason given' : null
  return { group, stream, config: { version, startedAt, startedBy }, paused }
}

/** A group that is just starting has no status yet. */
async function statusOf(client: Client, { group, stream }: GroupName): Promise<GroupStatus> {
  const handle = client.workflow.getHandle(groupWorkflowId(group, stream))
  for (;;) {
    const status = await handle.query<GroupStatus | null>(names.status)
    if (status) return status
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function sliceViews(
  client: Client,
  name: GroupName,
  slice: number,
  partitions: readonly number[],
): Promise<PartitionView[]> {
  const handle = client.workflow.getHandle(sliceWorkflowId(name, slice))
  try {
    const [status, batches] = await Promise.all([
      handle.query<SliceStatus>(names.status),
      pendingBatches(client, handle.workflowId),
    ])
    const told = new Map(status.partitions.map((one) => [one.partition, one]))
    return partitions.map((partition) => {
      const one = told.get(partition)
      return one ? partitionView(one, name, batches) : notRunning(partition)
    })
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
    return partitions.map(notRunning)
  }
}

function partitionView(status: PartitionStatus, name: GroupName, batches: readonly PendingBatch[]): PartitionView {
  const { paused, place, progress, version } = status
  const mayHaveIt = place === 'none' ? [] : batchesOf(status, name, batches)
  const [batch] = mayHaveIt
  const known = mayHaveIt.every((one) => one.trouble) ? batch?.trouble : undefined
  const trouble = known?.partitions?.includes(status.partition) === false ? undefined : known
  const inHand = place !== 'none' && (mayHaveIt.length === 0 || mayHaveIt.some(({ mayBeInHand }) => mayBeInHand))
  const view = viewOf(status)
  const said = {
    ...view,
    ...(trouble && view.state !== 'blocked' && view.state !== 'fenced'
      ? {
          state: trouble.state,
          reason: trouble.state !== 'retrying' ? trouble.reason : `attempt ${batch!.attempt}: ${trouble.reason}`,
          since: batch!.since ?? view.since,
        }
      : {}),
    ...(paused
      ? {
          state: inHand ? ('pausing' as const) : ('paused' as const),
          reason: pauseReason(paused.reason, view),
          since: paused.since,
        }
      : {}),
    working: place !== 'none',
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
  const [chunkSince] = mayHaveIt.flatMap(({ inChunkSince }) => inChunkSince.get(status.partition) ?? [])
  const [waitsFor] = mayHaveIt.flatMap(({ waiting }) => waiting.get(status.partition) ?? [])
  const reasons = [
    said.reason,
    ...(waitsFor && said.state !== 'waiting' ? [`waits for ${waitsFor.for} since ${waitsFor.since}`] : []),
    ...(chunkSince === undefined ? [] : [`in this chunk since ${chunkSince}`]),
  ]
  return {
    ...said,
    reason: reasons.filter(Boolean).join('; '),
    ...(chunkSince === undefined ? {} : { chunkSince }),
    ...(waitsFor && { waitsFor }),
  }
}

/** Why a partition is paused, and what is wrong with it besides. */
export function pauseReason(pause: string, view?: Pick<PartitionView, 'state' | 'reason'>): string {
  return view && view.reason !== '' ? `${pause} (and ${view.state}: ${view.reason})` : pause
}

/** The batches that may have a partition: more than one where its slice has several batches of healthy partitions. */
function batchesOf({ partition, place }: PartitionStatus, { stream }: GroupName, batches: readonly PendingBatch[]) {
  // A batch apart has its partition's name as its activity's ID.
  const path = `${describePartition({ stream, partition })} `
  return batches.filter(({ id }) => (place === 'apart' ? id.startsWith(path) : !id.includes(' ')))
}

function viewOf({ partition, condition, reason, since }: PartitionReport): Omit<PartitionView, 'working'> {
  return { partition, state: condition === 'healthy' ? 'running' : condition, reason, since }
}

function notRunning(partition: number): PartitionView {
  return {
    partition,
    state: 'not running',
    reason: 'the workflow of its slice is gone; the group starts it again within a minute',
    since: '',
    working: false,
  }
}
