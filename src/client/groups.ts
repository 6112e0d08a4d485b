import { hostname } from 'node:os'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import { type ParsedConsumer, parseConfig } from '../config/parse.js'
import { type GroupInput, names, workflowTypes } from '../model/commands.js'
import { TidemarkError } from '../model/errors.js'
import { groupWorkflowId } from '../model/partition.js'
import { queuesOf, type Revision } from '../model/revision.js'
import { ensureSearchAttributes } from '../temporal/attributes.js'
import { connectClient, temporalError } from '../temporal/connection.js'

export interface StartOptions {
  /** Default: a connection of its own, as the config says. */
  readonly client?: Client
  /** `worker.consumers` of a worker with the same config: what it found out need not be looked up again. */
  readonly consumers?: readonly {
    readonly group: string
    readonly stream: string
    readonly partitions: number
  }[]
}

export interface StartedGroup {
  readonly group: string
  readonly stream: string
  /** Version of the config that is in force now. */
  readonly version: string
  readonly workflowId: string
  /** The run of the workflow that has taken the config over. */
  readonly runId: string
  /** Whether it ends by itself: see `groupsFinished`. */
  readonly bounded: boolean
}

/**
 * Starts the group workflow of each consumer, or tells the running one that this config is in force from its next batch on.
 * Safe to repeat, and from many machines: the last one to start wins.
 *
 * @throws TidemarkError CONFIG_INVALID, UNREACHABLE, AUTH_FAILED
 */
export async function startGroups(config: TidemarkConfig, options: StartOptions = {}): Promise<StartedGroup[]> {
  const parsed = parseConfig(config)
  const client = options.client ?? (await connectClient(parsed.temporal))
  try {
    const searchAttributes = ensureSearchAttributes(client)
    return await Promise.all(
      parsed.consumers.map(async (consumer) => {
        const { group, stream } = consumer.settings
        // Beside the search attributes: both are questions to the server.
        await refuseOtherQueue(client, groupWorkflowId(group, stream), parsed.taskQueue)
        const ready = options.consumers?.find((other) => other.group === group && other.stream === stream)
        return startGroup(client, parsed.taskQueue, consumer, await searchAttributes, ready?.partitions ?? 0)
      }),
    )
  } catch (error) {
    throw error instanceof Error && 'code' in error && typeof error.code === 'number'
      ? temporalError(error, parsed.temporal)
      : error
  } finally {
    if (!options.client) await client.connection.close()
  }
}

async function startGroup(
  client: Client,
  taskQueue: string,
  consumer: ParsedConsumer,
  searchAttributes: boolean,
  partitions: number,
): Promise<StartedGroup> {
  const { group, stream } = consumer.settings
  const workflowId = groupWorkflowId(group, stream)
  const revision = revisionOf(taskQueue, consumer)
  const seen = Array.from({ length: partitions }, (_, partition) => partition)
  const input: GroupInput = { group, stream, revision, searchAttributes, known: [], seen, paused: null, reports: [] }
  const handle = await client.workflow.signalWithStart(workflowTypes.group, {
    workflowId,
    taskQueue,
    args: [input],
    signal: names.configure,
    signalArgs: [revision],
    staticSummary: `${group} reads ${stream}`,
    staticDetails: `The consumer group ${group} of the stream ${stream}: starts a workflow for each partition and hands commands on to them.`,
  })
  return {
    group,
    stream,
    version: consumer.version,
    workflowId,
    runId: handle.signaledRunId,
    bounded: revision.until !== undefined,
  }
}

/** Workflows stay on the queue they were started on. A worker on another one would wait for ever. */
async function refuseOtherQueue(client: Client, workflowId: string, wanted: string): Promise<void> {
  const running = await client.workflow
    .getHandle(workflowId)
    .describe()
    .catch((error) => {
      if (error instanceof WorkflowNotFoundError) return null
      throw error
    })
  if (running?.status.name !== 'RUNNING' || running.taskQueue === wanted) return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${workflowId} runs on task queue '${running.taskQueue}'; this config says '${wanted}'. Keep the old taskQueue, or terminate ` +
      `the workflows ${workflowId} and ${workflowId}/* first: positions are in the store, so nothing is lost`,
  )
}

function revisionOf(base: string, { settings, version, until }: ParsedConsumer): Revision {
  const { group, stream, heartbeatTimeoutMs } = settings
  return {
    version,
    startedAt: new Date().toISOString(),
    startedBy: `${process.pid}@${hostname()}`,
    queues: queuesOf(base, group, stream),
    timing: { heartbeatTimeoutMs },
    ...(until && { until: until === 'head' ? ('head' as const) : ('message' as const) }),
  }
}
