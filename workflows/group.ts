import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow'
import type { GroupInput, GroupStatus } from '../src/model/commands.js'
import { listen } from './group/commands.js'
import { ConfigReturn } from './group/config-return.js'
import { enroll, stop } from './group/enrollment.js'
import { Group } from './group/group-state.js'
import { attend, Polling } from './group/polling.js'
import { Reslicing } from './group/reslicing.js'
import { page, plain } from './markdown.js'
import { showGroup } from './search-attributes.js'

/**
 * One consumer of one stream. It gives the stream's partitions to slice workflows, waits for messages on behalf of all slices that are
 * at rest, watches for partitions that are added, and hands commands on. The work itself never passes through here. It ends,
 * with what it has become, when every partition is where the consumer's `until` ends it.
 *
 * A revision for the workers of another build is not worked here: the group and its slices continue as new on those workers' task queue.
 *
 * What must outlive Temporal (pauses, the number of slices, the known partitions, that a person has stopped the group) is in the store's
 * database; the activity `enroll` reads it and `note` writes it.
 */
export async function consumerGroup(input: GroupInput): Promise<GroupStatus> {
  const group = new Group(input)
  const reslicing = new Reslicing()
  /** True after the main loop: the group starts no more slices. */
  let quiet = false
  listen(group, reslicing, () => quiet)

  try {
    await begin(group)
    const { members } = group
    const configReturn = new ConfigReturn(group)
    let polling: Polling | undefined
    const startsOver = () => reslicing.begun || group.outgrown
    const over = () =>
      workflowInfo().continueAsNewSuggested || members.finished || group.successor !== undefined || startsOver()
    while (!over()) {
      const details = members.details()
      setCurrentDetails(details)
      if (group.revision.waiting !== 'signals') polling ??= Polling.begin(group)
      configReturn.update()
      await condition(() => polling?.found !== undefined || over() || members.details() !== details)
      if (polling?.found === undefined) continue
      await attend(group, polling.found)
      polling = undefined
    }
    polling?.cancel()
    configReturn.cancel()
    quiet = true
    await condition(allHandlersFinished)
    if (group.outgrown) await group.fleet.end(members.partitions)
    if (startsOver() || !members.finished) {
      const next = group.successor ?? group.revision
      const continued = makeContinueAsNewFunc<typeof consumerGroup>({ taskQueue: next.queues.workflows })
      return await continued({ ...(startsOver() ? members.anew() : members.next()), revision: next })
    }
    const { stream } = group.name
    setCurrentDetails(
      page(`Finished: all ${members.partitions.length} partitions of ${plain(stream)} are where the run ends.`),
    )
    await group.fleet.end(members.partitions)
    return members.status()
  } catch (error) {
    if (!isCancellation(error) || !CancellationScope.current().consideredCancelled) throw error
    await stop(group)
    throw new CancelledFailure('cancelled in Temporal')
  }
}

/** Reads the group's record, unless the previous run handed it on, and applies a config that arrived by signal before that. */
async function begin(group: Group): Promise<void> {
  if (group.input.searchAttributes && !workflowInfo().continuedFromExecutionRunId) showGroup(group.name)
  if (!group.membersIfKnown) await enroll(group)
  const inForce = group.successor ?? group.revision
  if (group.members.revision !== inForce) group.members.configure(inForce)
  // That signal came before the slices were known, so they have not heard of it.
  if (group.successor) await group.tellConfig(inForce)
}
