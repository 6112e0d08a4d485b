import type { Client } from '@temporalio/client'
import { names } from '../model/commands.js'
import { bySlice, type GroupName, sliceWorkflowId } from '../model/partition.js'
import type { GroupRecord, GroupRecords, Stop } from '../ports/index.js'
import type { GroupWorkflow } from '../temporal/group-workflow.js'

/**
 * Writes down that a person has terminated a group's workflow, which the workflow could not do itself, and ends its slices after their
 * chunks in hand: they outlive the group's workflow.
 */
export async function recordStop(
  client: Client,
  records: GroupRecords,
  name: GroupName,
  { state, why }: GroupWorkflow,
): Promise<GroupRecord> {
  const how = state === 'cancelled' ? 'cancelled' : 'terminated'
  const record = await records.stop(name, { by: 'Temporal', why, how })
  const slices = [...bySlice(record.partitions, record.slices).keys()]
  // A slice that does not run needs no end.
  await Promise.allSettled(
    slices.map((slice) => client.workflow.getHandle(sliceWorkflowId(name, slice)).signal(names.finish)),
  )
  return record
}

/** The stop that holds: the recorded one, or what a person has just done to the workflow in Temporal. Null where there is none. */
export function stopInForce(record: GroupRecord | null, workflow: GroupWorkflow | null): Stop | null {
  if (workflow?.state === 'running') return null
  if (record?.stopped) return record.stopped
  if (workflow?.state !== 'terminated' && workflow?.state !== 'cancelled') return null
  return { how: workflow.state, by: 'Temporal', why: workflow.why, at: workflow.endedAt ?? new Date() }
}

/** For people: `stopped in Temporal by a person at 2026-07-01T08:00:00.000Z (terminated; Temporal: ...)`. */
export function describeStop({ how, at, by, why }: Stop): string {
  return `stopped in Temporal by a person at ${at.toISOString()} (${how}; ${by}: ${why})`
}
