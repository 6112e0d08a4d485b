import { hostname } from 'node:os'
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import type { ParsedConsumer } from '../config/parse.js'
import { type GroupInput, names, workflowTypes } from '../model/commands.js'
import { TidemarkError } from '../model/errors.js'
import { type GroupName, groupWorkflowId } from '../model/partition.js'
import { deploymentOf, type Queues, queuesOf, type Revision } from '../model/revision.js'
import { shortSummary } from '../model/summary.js'
import { stopText } from '../ports/stop-text.js'
import { ensureSearchAttributes } from '../temporal/attributes.js'
import { temporalError } from '../temporal/connection.js'
import { workflowGeneration } from '../temporal/generation.js'
import { type GroupWorkflow, lookAtGroup } from '../temporal/group-workflow.js'
import { operatorName } from './operator.js'
import { inSession, type Session } from './session.js'
import { recordStop } from './stopped.js'
import { handedOver } from './take-over.js'

export interface StartOptions {
  /** Default: a connection of its own, as the config says. */
  readonly client?: Client
  /** `worker.consumers` of a worker with the same config: what it found out need not be looked up again. */
  readonly consumers?: readonly { readonly group: string; readonly stream: string; readonly stopped: string | null }[]
  /** Also starts groups that a person has stopped in Temporal. */
  readonly resumeStopped?: boolean
  /** Why, for the history of groups that were stopped. */
  readonly why?: string
  /** Only these of the config's groups. */
  readonly only?: readonly GroupName[]
}

export interface StartedGroup {
  readonly group: string
  readonly stream: string
  /** Version of the config that is in force now. */
  readonly version: string
  readonly workflowId: string
  /** The run of the workflow that has taken the config over; empty where the group stays stopped. */
  readonly runId: string
  /** Whether it ends by itself: see `groupsFinished`. */
  readonly bounded: boolean
  /** Why the group was not started: a person has stopped it in Temporal. Null where it runs. */
  readonly stopped: string | null
}

/**
 * Starts the group workflow of each consumer, or tells the running one that this config is in force from its next batch on.
 * Safe to repeat, and from many machines: the last one to start wins. A group that a person has stopped in Temporal stays so. A group
 * that runs for another build of Tidemark is handed over; that takes up to half a minute where no worker of that build is left.
 *
 * @throws TidemarkError CONFIG_INVALID, UNREACHABLE, AUTH_FAILED
 */
export function startGroups(config: TidemarkConfig, options: StartOptions = {}): Promise<StartedGroup[]> {
  return inSession(config, (session) => startIn(session, options))
}

/** As `startGroups`, in a session. */
export async function startIn(session: Session, options: StartOptions): Promise<StartedGroup[]> {
  const { config } = session
  const client = options.client ?? (await session.temporal())
  const wanted = ({ settings: { group, stream } }: ParsedConsumer) =>
    options.only?.some((one) => one.group === group && one.stream === stream) ?? true
  try {
    const searchAttributes = ensureSearchAttributes(client)
    return await Promise.all(
      config.consumers.filter(wanted).map(async (consumer) => {
        // Beside the search attributes: both are questions to the server.
        const stopped = await stopOf(client, session, consumer, options)
        if (stopped !== null) return notStarted(consumer, stopped)
        return startGroup(client, config.taskQueue, consumer, await searchAttributes)
      }),
    )
  } catch (error) {
    throw error instanceof Error && 'code' in error && typeof error.code === 'number'
      ? temporalError(error, config.temporal)
      : error
  }
}

async function startGroup(
  client: Client,
  deployment: string,
  consumer: ParsedConsumer,
  searchAttributes: boolean,
): Promise<StartedGroup> {
  const { revision, ...options } = await workflowOf(deployment, consumer, searchAttributes)
  for (;;) {
    const handle = await client.workflow.signalWithStart(workflowTypes.group, {
      ...options,
      signal: names.configure,
      signalArgs: [revision],
    })
    if (await handedOver(client, consumer.settings, options.taskQueue))
      return { ...startedOf(consumer), runId: handle.signaledRunId, stopped: null }
  }
}

/** Starts a group whose workflow is gone. Returns false, and changes nothing, where another worker was first. */
export async function startAgain(client: Client, deployment: string, consumer: ParsedConsumer): Promise<boolean> {
  const { revision: _, ...options } = await workflowOf(deployment, consumer, await ensureSearchAttributes(client))
  try {
    await client.workflow.start(workflowTypes.group, { ...options, workflowIdConflictPolicy: 'FAIL' })
    return true
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false
    throw error
  }
}

/** How Temporal starts a group's workflow. */
async function workflowOf(deployment: string, consumer: ParsedConsumer, searchAttributes: boolean) {
  const { group, stream } = consumer.settings
  const revision = revisionOf(queuesOf(deployment, await workflowGeneration(), consumer.settings), consumer)
  const input: GroupInput = { group, stream, revision, searchAttributes }
  return {
    revision,
    workflowId: groupWorkflowId(group, stream),
    taskQueue: revision.queues.workflows,
    args: [input],
    staticSummary: shortSummary(`${group} reads ${stream}`),
    staticDetails: `The consumer group ${group} of the stream ${stream}: gives its partitions to slices, waits for messages on behalf of those that are at rest, and hands commands on.`,
  }
}

function notStarted(consumer: ParsedConsumer, stopped: string): StartedGroup {
  return { ...startedOf(consumer), runId: '', stopped }
}

function startedOf({ settings: { group, stream }, version, until }: ParsedConsumer) {
  return { group, stream, version, workflowId: groupWorkflowId(group, stream), bounded: until !== undefined }
}

/** Why a group must not be started; null where it may be. Workflows that were terminated could not write it down themselves. */
async function stopOf(
  client: Client,
  session: Session,
  { settings: { group, stream } }: ParsedConsumer,
  { consumers, resumeStopped = false, why = 'started again' }: StartOptions,
): Promise<string | null> {
  const name = { group, stream }
  const workflow = await lookAtGroup(client, name)
  if (workflow?.state === 'running') {
    requireDeployment(workflow, name, session.config.taskQueue)
    return null
  }
  const known = consumers?.find((other) => other.group === group && other.stream === stream)
  if (known?.stopped === null && workflow?.state !== 'terminated' && !resumeStopped) return null
  const { groups } = await session.database()
  let record = await groups.read(name)
  if (record && !record.stopped && workflow?.state === 'terminated')
    record = await recordStop(client, groups, name, workflow)
  if (record?.stopped && resumeStopped) record = await groups.resume(name, { by: operatorName(), why })
  return record && stopText(record)
}

/** Workflows stay in the deployment they were started in, so a config with another `taskQueue` is refused. */
function requireDeployment({ taskQueue }: GroupWorkflow, { group, stream }: GroupName, wanted: string): void {
  const deployment = deploymentOf(taskQueue)
  if (deployment === wanted) return
  const workflowId = groupWorkflowId(group, stream)
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${workflowId} runs on task queue '${deployment}'; this config says '${wanted}'. Keep the old taskQueue, or terminate ` +
      `the workflows ${workflowId} and ${workflowId}/* first, and start with --resume-stopped: positions are in the store, so nothing is lost`,
  )
}

function revisionOf(queues: Queues, { settings, version, until }: ParsedConsumer): Revision {
  const { heartbeatTimeoutMs, batch, slices, waiting } = settings
  return {
    version,
    startedAt: new Date().toISOString(),
    startedBy: `${process.pid}@${hostname()}`,
    queues,
    timing: { heartbeatTimeoutMs, batchMs: batch.maxDurationMs },
    ...(slices === undefined ? {} : { slices }),
    ...(waiting && { waiting }),
    ...(until && { until: until === 'head' ? ('head' as const) : ('message' as const) }),
  }
}
