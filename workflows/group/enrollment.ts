import { ApplicationFailure, CancellationScope, setCurrentDetails } from '@temporalio/workflow'
import { control } from '../activities.js'
import { stoppedDetailsOf } from '../details.js'
import { configureSignal, pauseSignal, resumeSignal } from '../slice/slice-state.js'
import type { Group } from './group-state.js'

/**
 * Reads the group's record and the stream's partitions, and gives the new ones to their slices.
 *
 * @throws ApplicationFailure STOPPED where a person has stopped the group
 */
export async function enroll(group: Group): Promise<void> {
  const { name, revision } = group
  const slices = revision.slices === undefined ? {} : { slices: revision.slices }
  const before = group.decisions
  const found = await control(revision, 'read the group record and the partitions').enroll({ name, ...slices })
  const members = group.know(found)
  // A decision written while the record was being read is newer than what was read.
  if (group.decisions === before) members.pauses = found.pauses
  if (found.stopped !== null) throw ApplicationFailure.nonRetryable(found.stopped, 'STOPPED')
  const known = new Set(members.partitions)
  const fresh = found.partitions.filter((partition) => !known.has(partition))
  // Added before the slices start, so that a command or a stop that arrives meanwhile covers these partitions too.
  members.add(fresh, found.added)
  await give(group, fresh)
  // Only after their slices know: if the answer were lost on the way, nothing would say any more that the partitions are new.
  const { added } = found
  if (added.length > 0) await group.decide({ what: 'added', by: 'the stream', reason: '', partitions: added })
}

/**
 * Learns the decisions in the record that the group does not know, since Temporal was restored to an older state. Where the group knows
 * a pause that is not in the record, the pause stays: the record may be the older one.
 *
 * @throws ApplicationFailure STOPPED where a person has stopped the group
 */
export async function catchUp(group: Group): Promise<void> {
  const { name, revision, members } = group
  const before = group.decisions
  const found = await control(revision, 'read the group record: it has more than Temporal').enroll({ name })
  // What was decided meanwhile is newer than what was read. The next poll compares again.
  if (group.decisions !== before) return
  if (found.stopped !== null) {
    await group.fleet.end(members.partitions)
    throw ApplicationFailure.nonRetryable(found.stopped, 'STOPPED')
  }
  group.outgrown = found.generation > members.generation
  for (const [note, paused] of members.takePauses(found.pauses))
    await group.fleet.tell(paused, pauseSignal, (theirs) => [{ partitions: theirs, note }])
}

/**
 * Gives partitions to their slices. A command that arrives while slices are being started does not reach those that do not exist yet, so
 * they are told afterwards.
 */
export async function give(group: Group, partitions: readonly number[]): Promise<void> {
  const { members, revision: given } = group
  const starts = members.starts(partitions)
  await group.fleet.own(starts)
  const pauses = members.pausesSince(starts)
  const resumed = members.resumedSince(starts)
  const { revision } = group
  if (revision === given && pauses.size === 0 && resumed.length === 0) return
  if (revision !== given) await group.fleet.tell(partitions, configureSignal, () => [group.revision])
  for (const [note, paused] of pauses)
    await group.fleet.tell(paused, pauseSignal, (theirs) => [{ partitions: theirs, note }])
  await group.fleet.tell(resumed, resumeSignal, (theirs) => [{ partitions: theirs }])
}

/** Stops a group that a person has cancelled. It stays stopped until a person resumes it. */
export async function stop(group: Group): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    const { name, revision } = group
    const reason = 'its workflow was cancelled in Temporal'
    await control(revision, 'write down: group stopped in Temporal').note({
      name,
      what: 'stopped',
      by: 'Temporal',
      reason,
    })
    if (!group.membersIfKnown) {
      // Slices of an earlier run may exist, though this run has not learned of them.
      const found = await control(revision, 'read the group record and the partitions').enroll({ name })
      group.know(found).add(found.partitions, [])
    }
    // The next run must not find slices of this one.
    await group.fleet.end(group.members.partitions)
    setCurrentDetails(stoppedDetailsOf(name))
  })
}
