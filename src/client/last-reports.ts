import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { SliceMemo, StoppedPartition } from '../model/commands.js'
import { eachOf } from '../model/each-of.js'
import { bySlice, type GroupName, sliceWorkflowId } from '../model/partition.js'
import type { GroupRecord } from '../ports/index.js'

/** Slices looked at at the same time. */
const lanes = 16

/**
 * The blocked and fenced partitions of a group, by the memos of its running slices. Needs no worker; Temporal does not bill it. At most 50
 * of each slice, with their reasons cut.
 *
 * @param record says which slices there are
 * @param patienceMs how long it may take
 */
export async function lastReports(
  client: Client,
  record: GroupRecord,
  patienceMs: number,
): Promise<readonly StoppedPartition[]> {
  const owned = [...bySlice(record.partitions, record.slices)]
  const reports = await client.withDeadline(Date.now() + patienceMs, () =>
    eachOf(owned, lanes, async ([slice, theirs]) => {
      const stopped = await stoppedIn(client, record, slice)
      return stopped.filter(({ partition }) => theirs.includes(partition))
    }),
  )
  return reports.flat()
}

async function stoppedIn(client: Client, name: GroupName, slice: number): Promise<readonly StoppedPartition[]> {
  try {
    const { status, memo } = await client.workflow.getHandle(sliceWorkflowId(name, slice)).describe()
    // The memo of a slice that has ended keeps what was true then.
    if (status.name !== 'RUNNING') return []
    return (memo as SliceMemo | undefined)?.stopped ?? []
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return []
    throw error
  }
}
