import { control } from '../activities.js'
import { namesOf } from '../summaries.js'
import { failureOf } from './failures.js'
import type { Lane } from './lane.js'
import type { SliceState } from './slice-state.js'

/** Handles a batch that ended without an answer. The progress rows say what was handled, and the next batches begin there. */
export async function afterFailure(lane: Lane, error: unknown, state: SliceState): Promise<void> {
  const failure = failureOf(error)
  if (failure.kind !== 'untaken') await makeTokensWorthless(lane, state)
  // Letting go is not failing: with a new config, or after a pause, the error may be gone.
  if (failure.kind === 'stop')
    for (const partition of lane.members.keys())
      if (!lane.letsGo(partition)) partition.change('blocked', failure.reason)
  if (failure.kind === 'untaken' && lane.version === state.version) await changeVersion(lane.version, state)
}

/** A worker that is cut off may still be working the batch. It must not move progress once the partitions are let go. */
async function makeTokensWorthless(lane: Lane, state: SliceState): Promise<void> {
  const { name } = state.input
  const begun = [...lane.members].filter(([, batch]) => batch > 0)
  if (begun.length === 0) return
  const names = namesOf(
    name.stream,
    begun.map(([partition]) => partition),
  )
  const partitions = begun.map(([{ index, progress }, batch]) => ({ partition: index, epoch: progress!.epoch, batch }))
  await control(state.revision, `let go of ${names}`).raise({ name, partitions })
}

/** No worker took the batch: continues with the config version of a worker that is running. */
async function changeVersion(wanted: string, state: SliceState): Promise<void> {
  const { version } = await control(state.revision, 'find out which config the workers hold').fallback({ wanted })
  // Unless another config has come into force meanwhile.
  if (state.version === wanted) state.changeVersion(version)
}
