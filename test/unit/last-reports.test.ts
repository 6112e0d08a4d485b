import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import { describe, expect, it } from 'vitest'
import { lastReports } from '../../src/client/last-reports.js'
import type { SliceMemo, StoppedPartition } from '../../src/model/commands.js'
import type { GroupRecord } from '../../src/ports/index.js'

const blocked = (partition: number): StoppedPartition => ({
  partition,
  condition: 'blocked',
  reason: 'not JSON',
  since: '',
})
const record: GroupRecord = {
  group: 'bank',
  stream: 'orders',
  slices: 2,
  generation: 1,
  partitions: [0, 1, 2, 3],
  stopped: null,
  paused: { group: null, partitions: new Map() },
}

/** What Temporal says of each slice; of one that is not named, that it knows none. */
function reports(slices: Record<string, { status?: string; memo?: SliceMemo }>) {
  const getHandle = (id: string) => ({
    describe: async () => {
      const slice = slices[id.replace('tidemark/bank/orders/', '')]
      if (!slice) throw new WorkflowNotFoundError('not found', id, undefined)
      return { status: { name: slice.status ?? 'RUNNING' }, memo: slice.memo }
    },
  })
  const withDeadline = (_: number, ask: () => Promise<unknown>) => ask()
  return lastReports({ workflow: { getHandle }, withDeadline } as unknown as Client, record, 1_000)
}

describe('the last reports of a group', () => {
  it('are those of all its slices', async () => {
    const found = await reports({ 0: { memo: { stopped: [blocked(2)] } }, 1: { memo: { stopped: [blocked(1)] } } })
    expect(found.map(({ partition }) => partition)).toEqual([2, 1])
  })

  it('are none of slices that have said nothing, or are not there', async () => {
    expect(await reports({ 0: {} })).toEqual([])
  })

  it('are none of a slice that has ended', async () => {
    expect(await reports({ 0: { status: 'COMPLETED', memo: { stopped: [blocked(2)] } } })).toEqual([])
  })

  it('are about partitions that the slice has', async () => {
    const found = await reports({ 0: { memo: { stopped: [blocked(1), blocked(2)] } } })
    expect(found.map(({ partition }) => partition)).toEqual([2])
  })
})
