import { control } from '../activities.js'
import { namesOf } from '../summaries.js'
import type { Lane } from './lane.js'
import type { SliceState } from './slice-state.js'

/** Takes ownership of a lane's partitions that are not owned. A partition that can't be opened leaves the lane. */
export async function takeOwnership(lane: Lane, state: SliceState): Promise<void> {
  const foreign = [...lane.members.keys()].filter(({ owned }) => !owned)
  if (foreign.length === 0) return
  const { name } = state.input
  const requests = foreign.map((partition) => partition.opening(state.revision))
  const reopened = new Map(foreign.map((partition) => [partition.index, partition.reopened]))
  const resumed = new Map(foreign.map((partition) => [partition.index, partition.resumed]))
  const activities = control(state.revision, `take ownership of ${namesOf(name.stream, foreign)}`)
  for (const outcome of await activities.open({ name, partitions: requests })) {
    const partition = state.partitions.get(outcome.partition)!
    if (outcome.outcome === 'owned') {
      // If the stored position changed meanwhile, this answer is outdated: the partition is opened again.
      if (reopened.get(outcome.partition) === partition.reopened) partition.own(state.revision, outcome)
      else partition.taken(outcome.epoch)
      continue
    }
    const asked = lane.letsGo(partition)
    lane.remove(partition)
    if (outcome.outcome === 'paused') {
      // Unless a person has resumed it meanwhile.
      if (resumed.get(outcome.partition) === partition.resumed) partition.pause(outcome.note)
      continue
    }
    if (!asked) partition.change(outcome.outcome === 'blocked' ? 'blocked' : 'troubled', outcome.reason)
  }
}
