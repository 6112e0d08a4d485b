import { condition, defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow'
import {
  type FallbackCommand,
  type GroupStatus,
  names,
  type PauseCommand,
  type RedriveCommand,
  type ReopenCommand,
  type ResumeCommand,
} from '../../src/model/commands.js'
import type { Revision } from '../../src/model/revision.js'
import { now } from '../clock.js'
import { pauseSignal, redriveSignal, reopenSignal, reportSignal, resumeSignal } from '../slice/slice-state.js'
import type { Group } from './group-state.js'
import { type Reslicing, resliceUpdate } from './reslicing.js'

const pauseUpdate = defineUpdate<GroupStatus, [PauseCommand]>(names.pause)
const resumeUpdate = defineUpdate<GroupStatus, [ResumeCommand]>(names.resume)
const statusQuery = defineQuery<GroupStatus | null>(names.status)
const reopenGroup = defineSignal<[ReopenCommand]>(names.reopen)
const redriveGroup = defineSignal<[RedriveCommand]>(names.redrive)
const fallbackGroup = defineSignal<[FallbackCommand]>(names.fallback)
const configureGroup = defineSignal<[Revision]>(names.configure)

/**
 * Handles what people, workers and slices tell a group. Most of it goes on to the slices.
 *
 * @param quiet whether the group starts no slices any more
 */
export function listen(group: Group, reslicing: Reslicing, quiet: () => boolean): void {
  setHandler(configureGroup, (newest) => group.configure(newest))
  setHandler(fallbackGroup, (command) => group.fallBack(command))
  setHandler(statusQuery, () => group.membersIfKnown?.status() ?? null)
  setHandler(reportSignal, async (report) => {
    await group.known()
    group.members.hear(report)
  })
  setHandler(reopenGroup, async ({ partitions }) => {
    await group.known()
    await group.fleet.tell(partitions, reopenSignal, (theirs) => [{ partitions: theirs }])
  })
  setHandler(redriveGroup, async ({ partitions }) => {
    await group.known()
    await group.fleet.tell(partitions, redriveSignal, (theirs) => [{ partitions: theirs }])
  })
  setHandler(
    pauseUpdate,
    async ({ partitions, reason, by = 'unknown' }) => {
      await group.decide({ what: 'paused', by, reason, ...(partitions ? { partitions } : {}) }, () => {
        const note = { by, reason, since: now() }
        const which = partitions ?? group.members.partitions
        return group.fleet.tell(which, pauseSignal, (theirs) => [{ partitions: theirs, note }])
      })
      return group.members.status()
    },
    { validator: (command) => group.membersIfKnown?.refuseUnknown(command) },
  )
  setHandler(
    resumeUpdate,
    async ({ partitions, reason = '', by = 'unknown' }) => {
      await group.decide({ what: 'resumed', by, reason, ...(partitions ? { partitions } : {}) }, () => {
        const which = partitions ?? group.members.partitions
        return group.fleet.tell(which, resumeSignal, (theirs) => [{ partitions: theirs }])
      })
      return group.members.status()
    },
    {
      validator: (command) => {
        group.membersIfKnown?.refuseUnknown(command)
        group.membersIfKnown?.refuseUnderPause(command)
      },
    },
  )
  setHandler(resliceUpdate, async (command) => {
    await condition(() => group.membersIfKnown !== undefined)
    return reslicing.ask(command, { name: group.name, members: group.members, fleet: group.fleet, quiet })
  })
}
