import { describe, expect, it } from 'vitest'
import type { Pauses } from '../../../src/model/batch.js'
import type { PartitionStart } from '../../../src/model/commands.js'
import type { Revision } from '../../../src/model/revision.js'
import { give } from '../../../workflows/group/enrollment.js'
import type { Group } from '../../../workflows/group/group-state.js'
import { Membership } from '../../../workflows/group/membership.js'

const note = { by: 'ann', reason: 'bad deploy', since: '2026-01-02T00:00:00.000Z' }
const none: Pauses = { group: null, partitions: [] }
const all: Pauses = { group: note, partitions: [] }
const second: Pauses = { group: null, partitions: [{ ...note, partition: 2 }] }
const revisionOf = (version: string): Revision => ({
  version,
  startedAt: '2026-01-02T00:00:00.000Z',
  startedBy: 'host',
  queues: { workflows: 'workflows', control: 'control', batches: 'process@' },
  timing: { heartbeatTimeoutMs: 1_000, batchMs: 10_000 },
})

/** A group with the partitions 1 and 2, whose slices take their time to start: what they were started with, and what they were told since. */
function startingSlices({ pauses, meanwhile }: { pauses: Pauses; meanwhile: (group: Group) => void }) {
  const revision = revisionOf('v1')
  const input = { group: 'billing', stream: 'orders', revision, searchAttributes: false }
  const members = new Membership(input, { slices: 2, generation: 1, partitions: [1, 2], pauses, reports: [] })
  const started: PartitionStart[] = []
  const told: unknown[] = []
  const fleet = {
    own: async (starts: readonly PartitionStart[]) => {
      started.push(...starts)
      meanwhile(group)
    },
    tell: async (
      partitions: readonly number[],
      { name }: { readonly name: string },
      argsFor: (partitions: readonly number[]) => unknown[],
    ) => {
      if (partitions.length > 0) told.push([name, ...argsFor(partitions)])
    },
  }
  const group = { name: input, members, revision, fleet } as unknown as Group
  return give(group, [1, 2]).then(() => ({ started, told }))
}

describe('slices that are being started', () => {
  it('are told of partitions that people pause meanwhile', async () => {
    const meanwhile = ({ members }: Group) => {
      members.pauses = second
    }
    const { started, told } = await startingSlices({ pauses: none, meanwhile })
    expect(started).toEqual([{ partition: 1 }, { partition: 2 }])
    expect(told).toEqual([['pause', { partitions: [2], note: second.partitions[0] }]])
  })

  it('are told of partitions that people resume meanwhile', async () => {
    const meanwhile = ({ members }: Group) => {
      members.pauses = none
    }
    const { started, told } = await startingSlices({ pauses: all, meanwhile })
    expect(started).toEqual([
      { partition: 1, paused: note },
      { partition: 2, paused: note },
    ])
    expect(told).toEqual([['resume', { partitions: [1, 2] }]])
  })

  it('are told of a config that is put in force meanwhile', async () => {
    const meanwhile = (group: Group) => {
      group.revision = revisionOf('v2')
    }
    const { told } = await startingSlices({ pauses: all, meanwhile })
    expect(told).toEqual([['configure', revisionOf('v2')]])
  })

  it('are told nothing where nothing has changed', async () => {
    expect((await startingSlices({ pauses: second, meanwhile: () => {} })).told).toEqual([])
  })
})
