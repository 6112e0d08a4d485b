import { CancellationScope } from '@temporalio/workflow'
import type { PollResult } from '../../src/model/batch.js'
import { bySlice, sliceOf } from '../../src/model/partition.js'
import { waiting } from '../activities.js'
import { catchUp, enroll, give } from './enrollment.js'
import type { Group } from './group-state.js'

const nothingFound: PollResult = { added: [], missing: [], stopped: [] }

/** One activity that waits for something to do: messages for slices at rest, added partitions, slices that do not run. */
export class Polling {
  readonly #scope = new CancellationScope()
  /** What the activity has found; undefined as long as it waits. */
  found: PollResult | undefined

  /** Begins to wait, and returns at once. */
  static begin(group: Group): Polling {
    const polling = new Polling()
    const { name, revision, members, decisions } = group
    const { partitions, slices, generation, pauses } = members
    const { poll } = waiting(revision, 'wait for messages of slices at rest, and for new partitions')
    polling.#scope
      .run(() => poll({ name, partitions, slices, generation, pauses }))
      .catch((error) => {
        if (polling.#scope.consideredCancelled) throw error
        // The activity itself retries forever, so a person has ended it in the Temporal UI.
        return nothingFound
      })
      .then((found) => {
        // What was decided since it began, it could not know.
        polling.found = { ...found, outdated: found.outdated === true && decisions === group.decisions }
      })
      .catch(() => {})
    return polling
  }

  cancel(): void {
    this.#scope.cancel()
  }
}

/** Learns what the record has beyond the group, enrolls added partitions, and starts slices again that do not run. */
export async function attend(group: Group, { outdated, added, missing, stopped }: PollResult): Promise<void> {
  if (outdated) await catchUp(group)
  if (group.outgrown) return
  if (added.length > 0) await enroll(group)
  await keepStopped(group, stopped)
  const { members } = group
  const restart = [...missing, ...stopped.map(({ slice }) => slice)]
  const theirs = members.partitions.filter((one) => restart.includes(sliceOf(one, members.slices)))
  await give(group, theirs)
}

/** A slice that a person has ended in Temporal: its partitions stay paused, with the reason, until a person resumes them. */
async function keepStopped(group: Group, stopped: PollResult['stopped']): Promise<void> {
  const { members } = group
  for (const { slice, how } of stopped) {
    const partitions = bySlice(members.partitions, members.slices).get(slice) ?? []
    const reason = `slice ${slice} was ${how} in Temporal`
    await group.decide({ what: 'paused', by: 'Temporal', reason, partitions })
  }
}
