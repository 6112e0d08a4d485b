import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, isGrpcServiceError, ServiceError, WorkflowFailedError } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import { parseConfig } from '../config/parse.js'
import type { GroupStatus } from '../model/commands.js'
import { messageOf, TidemarkError } from '../model/errors.js'
import { connectClient, temporalError } from '../temporal/connection.js'
import { isOwnReason } from '../temporal/stranded.js'
import type { StartedGroup } from './groups.js'

export interface FinishedOptions {
  /** Default: a connection of its own, as the config says. */
  readonly client?: Client
  /** Told of each group as it ends. */
  readonly onFinished?: (group: GroupStatus) => void
}

/** gRPC's DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED and UNAVAILABLE: what an outage looks like. */
const passing = new Set([4, 8, 14])
const pauseMs = 1_000

/**
 * Waits until bounded runs are over: every partition of each group is where its consumer's `until` ends it, and its offset is
 * committed. Groups whose consumers read without an end are not waited for. Outages of Temporal are waited out.
 *
 * @param started what `startGroups` has returned
 * @returns what the groups have become, in the order of `started`
 * @throws TidemarkError UNREACHABLE, AUTH_FAILED; UNKNOWN_CONSUMER where a person has ended a group's workflow
 */
export async function groupsFinished(
  config: TidemarkConfig,
  started: readonly StartedGroup[],
  options: FinishedOptions = {},
): Promise<GroupStatus[]> {
  const { temporal } = parseConfig(config)
  const bounded = started.filter((group) => group.bounded && group.stopped === null)
  if (bounded.length === 0) return []
  const client = options.client ?? (await connectClient(temporal))
  try {
    return await Promise.all(
      bounded.map(async (one) => {
        const group = await resultOf(client, one)
        options.onFinished?.(group)
        return group
      }),
    )
  } catch (error) {
    throw temporalError(error, temporal)
  } finally {
    if (!options.client) await client.connection.close()
  }
}

async function resultOf(client: Client, started: StartedGroup): Promise<GroupStatus> {
  const { workflowId, group, stream } = started
  let runId: string | undefined = started.runId
  for (;;) {
    try {
      return await client.workflow.getHandle(workflowId, runId).result()
    } catch (error) {
      if (error instanceof WorkflowFailedError && isOwnReason(messageOf(error.cause ?? ''))) {
        // Started again for another build of Tidemark: the last run counts.
        runId = undefined
        await sleep(pauseMs)
        continue
      }
      if (error instanceof WorkflowFailedError)
        throw new TidemarkError(
          'UNKNOWN_CONSUMER',
          `group '${group}' on stream '${stream}' was ended before it was finished (${error.message}); start it again: it goes on where it has committed`,
          { place: { group, stream }, cause: error },
        )
      const cause = error instanceof ServiceError ? error.cause : error
      if (!isGrpcServiceError(cause) || !passing.has(cause.code)) throw error
      await sleep(pauseMs)
    }
  }
}
