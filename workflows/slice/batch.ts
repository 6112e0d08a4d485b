import { CancellationScope } from '@temporalio/workflow'
import type { BatchInput, BatchResult } from '../../src/model/batch.js'
import { describePartition } from '../../src/model/partition.js'
import { process } from '../activities.js'
import { namesOf } from '../summaries.js'
import { afterFailure } from './batch-failure.js'
import type { Commits } from './commits.js'
import type { Lane } from './lane.js'
import { mostApart } from './next-lane.js'
import { takeOwnership } from './ownership.js'
import type { Partition } from './partition.js'
import type { SliceState } from './slice-state.js'

/**
 * One batch: takes ownership of partitions that are not owned, hands the batch to a worker, and notes how far each partition came.
 * Never rejects for what may happen to an activity.
 *
 * @param closesInMs ends the batch sooner than the consumer's options say
 */
export async function runBatch(
  lane: Lane,
  closesInMs: number | undefined,
  state: SliceState,
  commits: Commits,
): Promise<void> {
  try {
    await takeOwnership(lane, state)
    const result = await handToWorker(lane, closesInMs, state)
    const finished: Partition[] = []
    for (const outcome of result.partitions) {
      const partition = state.partitions.get(outcome.partition)
      if (!partition || !lane.has(partition, outcome)) continue
      if (outcome.end === 'finished') {
        partition.worked(outcome, lane.kind === 'apart')
        finished.push(partition)
      } else lane.take(partition, outcome)
    }
    commits.begin()
    if (finished.length > 0) await finish(finished, commits)
  } catch (error) {
    await CancellationScope.nonCancellable(() => afterFailure(lane, error, state))
  }
}

function handToWorker(lane: Lane, closesInMs: number | undefined, state: SliceState): Promise<BatchResult> {
  // Commands may have come while the partitions were opened.
  for (const partition of [...lane.members.keys()]) if (!partition.ready || !partition.owned) lane.remove(partition)
  const members = [...lane.members.keys()]
  const [first] = members
  if (!first) return Promise.resolve({ partitions: [] })
  const { name, slice } = state.input
  const partitions = members.map((partition) => {
    const batch = partition.nextBatch()
    lane.members.set(partition, batch.batch)
    return batch
  })
  const troubled = [...state.partitions.values()].filter(({ apart }) => apart).length
  const input: BatchInput = {
    name,
    slice,
    partitions,
    mayLeave: Math.max(0, mostApart - troubled),
    ...(lane.kind === 'apart' ? { apart: first.apart ?? 'failed' } : {}),
    ...(closesInMs === undefined ? {} : { closesInMs }),
  }
  const summary =
    lane.kind === 'apart'
      ? `${describePartition({ stream: name.stream, partition: first.index })} apart from its neighbours: ${first.reason || 'its handler is slow'}`
      : `messages of ${namesOf(name.stream, members)}`
  lane.activityId = activityId(lane, name.stream, first)
  return process(state.revision, { version: lane.version, summary, id: lane.activityId }, input)
}

/** People find a partition that is worked apart by the ID of its activity. No shared batch has an ID with a blank. */
function activityId({ kind }: Lane, stream: string, { index, progress }: Partition): string {
  const { epoch, batch } = progress!
  if (kind !== 'apart') return `shared/${index}/${epoch}/${batch}`
  return `${describePartition({ stream, partition: index })} epoch ${epoch} batch ${batch}`
}

/** The end of a bounded run. Offsets are committed before a partition counts as finished. */
async function finish(partitions: readonly Partition[], commits: Commits): Promise<void> {
  await commits.settle()
  // Unless a person has moved the position meanwhile.
  for (const partition of partitions)
    if (partition.owned && !partition.uncommitted) {
      const { position } = partition.progress!
      partition.change('finished', `read to ${position}, where the run ends`)
    }
}
