import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import {
  type GroupStatus,
  names,
  type PauseCommand,
  type RedriveCommand,
  type ReopenCommand,
  type ResumeCommand,
} from '../model/commands.js'
import { TidemarkError, UnknownName } from '../model/errors.js'
import { type GroupName, groupWorkflowId } from '../model/partition.js'
import { answered } from '../temporal/answers.js'
import { operatorName } from './operator.js'

/**
 * Stops a group, or some of its partitions, after the chunk in hand. Durable from the moment this resolves, in the store's database:
 * restarts of workers, Temporal or brokers do not undo it.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for a group that was never started or a partition it does not have; UNREACHABLE when
 * no worker answers, and then it may still happen once one does
 */
export function pauseGroup(client: Client, name: GroupName, command: PauseCommand): Promise<GroupStatus> {
  return update(client, name, names.pause, { by: operatorName(), ...command })
}

/**
 * Lets paused, blocked and fenced partitions continue from where they are.
 *
 * @throws TidemarkError as `pauseGroup`; CONFIG_INVALID for single partitions while the whole group is paused
 */
export function resumeGroup(client: Client, name: GroupName, command: ResumeCommand = {}): Promise<GroupStatus> {
  return update(client, name, names.resume, { by: operatorName(), ...command })
}

/**
 * Makes partitions take their position from the store again, after it was changed there: what is under way ends after the chunk in
 * hand. Needs no worker. A partition that does not run begins at the new position anyway.
 *
 * @returns the partitions that were told: none where the group does not run
 */
export async function reopenPartitions(
  client: Client,
  { group, stream }: GroupName,
  partitions: readonly number[],
): Promise<readonly number[]> {
  try {
    const command: ReopenCommand = { partitions }
    await client.workflow.getHandle(groupWorkflowId(group, stream)).signal(names.reopen, command)
    return partitions
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return []
    throw error
  }
}

/**
 * Tells the owners of partitions that a person has asked for messages that were set aside. Needs no worker. A partition that does not run looks
 * for itself when it does.
 *
 * @returns whether the group runs
 */
export async function redrivePartitions(
  client: Client,
  { group, stream }: GroupName,
  partitions: readonly number[],
): Promise<boolean> {
  try {
    const command: RedriveCommand = { partitions }
    await client.workflow.getHandle(groupWorkflowId(group, stream)).signal(names.redrive, command)
    return true
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false
    throw error
  }
}

async function update(
  client: Client,
  name: GroupName,
  command: string,
  argument: PauseCommand | ResumeCommand,
): Promise<GroupStatus> {
  const handle = client.workflow.getHandle(groupWorkflowId(name.group, name.stream))
  try {
    return await answered(client, name, () =>
      handle.executeUpdate<GroupStatus, [typeof argument]>(command, { args: [argument] }),
    )
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
      const { type, message } = error.cause
      if (type === 'UNKNOWN_PARTITION') throw new UnknownName(message, name)
      throw new TidemarkError(type === 'GROUP_PAUSED' ? 'CONFIG_INVALID' : 'UNKNOWN_CONSUMER', message, { place: name })
    }
    throw error
  }
}
