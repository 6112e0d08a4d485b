import { type Client, WorkflowUpdateFailedError } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { type GroupStatus, names, type PauseCommand, type ResumeCommand } from '../model/commands.js'
import { TidemarkError } from '../model/errors.js'
import { groupWorkflowId } from '../model/partition.js'
import { answered, type GroupName } from './answers.js'

/**
 * Stops a group, or some of its partitions, after the chunk in hand. Durable from the moment this resolves: restarts of
 * workers, Temporal or brokers do not undo it.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for a group that was never started or a partition it does not have; UNREACHABLE when
 * no worker answers, and then it may still happen once one does
 */
export function pauseGroup(client: Client, name: GroupName, command: PauseCommand): Promise<GroupStatus> {
  return update(client, name, names.pause, command)
}

/** Lets paused, blocked and fenced partitions go on from where they are. */
export function resumeGroup(client: Client, name: GroupName, command: ResumeCommand = {}): Promise<GroupStatus> {
  return update(client, name, names.resume, command)
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
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      throw new TidemarkError('UNKNOWN_CONSUMER', error.cause.message, { place: name })
    throw error
  }
}
