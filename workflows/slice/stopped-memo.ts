import { upsertMemo, workflowInfo } from '@temporalio/workflow'
import type { PartitionRecord, SliceMemo, StoppedPartition } from '../../src/model/commands.js'
import { brief } from '../../src/model/summary.js'

/*
 * The slice's memo names its blocked and fenced partitions, so that `tidemark status` can say why they stand where no worker runs. A
 * change of a memo is billed, so it is written only where the list has changed: `workflowInfo().memo` is what Temporal has.
 */

/** Temporal hands out the whole memo with each look at the workflow. */
const longestReason = 300
const mostPartitions = 50

/** Writes the list of stopped partitions into the memo where it says something else. */
export function showStopped(records: readonly PartitionRecord[]): void {
  const stopped = stoppedOf(records)
  if (JSON.stringify(stopped) === JSON.stringify(shown() ?? [])) return
  // Temporal takes an empty list out of the memo. The workflow still sees it in its own, and `memoOfNextRun` depends on that.
  upsertMemo({ stopped })
}

/**
 * The memo that the next run starts with. Without one, the SDK gives it the memo that this run *started* with: what has been written
 * since would be lost, and what has been cleared would be back.
 *
 * @param records what the next run begins with
 */
export function memoOfNextRun(records: readonly PartitionRecord[]): { memo?: Record<string, unknown> } {
  const stopped = stoppedOf(records)
  return stopped.length === 0 && shown() === undefined ? {} : { memo: { stopped } }
}

function shown(): SliceMemo['stopped'] {
  return (workflowInfo().memo as SliceMemo | undefined)?.stopped
}

function stoppedOf(records: readonly PartitionRecord[]): StoppedPartition[] {
  const stopped = records.flatMap(({ partition, condition, reason, since, owned, progress }) => {
    if (condition !== 'blocked' && condition !== 'fenced') return []
    // Of a partition that is not owned, the store may know a newer replay than the slice does.
    const replay = owned && progress ? { replay: progress.replay } : {}
    return [{ partition, condition, reason: brief(reason, longestReason), since, ...replay }]
  })
  return stopped.slice(0, mostPartitions)
}
