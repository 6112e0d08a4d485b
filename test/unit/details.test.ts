import { describe, expect, it } from 'vitest'
import type { GroupStatus, PartitionRecord, SliceInput } from '../../src/model/commands.js'
import type { Revision } from '../../src/model/revision.js'
import { brief } from '../../src/model/summary.js'
import { detailsOf, groupDetailsOf } from '../../workflows/details.js'
import { plain, table } from '../../workflows/markdown.js'
import { Partition } from '../../workflows/slice/partition.js'

const since = '2026-07-01T08:00:00.000Z'
const revision = { version: 'a1', startedAt: since, startedBy: '7@host' } as Revision
const note = { by: 'ann', reason: 'wrong totals', since }

/** The cells of a table's rows, below its head. */
function rowsOf(markdown: string): string[][] {
  const lines = markdown.split('\n').filter((line) => line.startsWith('| '))
  return lines.slice(1).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

describe('the page of a slice', () => {
  const input = { name: { group: 'billing', stream: 'orders' }, slice: 1 } as SliceInput
  const rowOf = (record: Partial<PartitionRecord>) => {
    const progress = {
      epoch: 1,
      replay: 0,
      identity: '',
      batch: 1,
      position: '10',
      committed: '10',
      head: '12',
      messages: 0,
    }
    const whole = {
      partition: 5,
      paused: null,
      condition: 'healthy',
      reason: '',
      since,
      owned: true,
      progress,
      ...record,
    }
    return rowsOf(detailsOf(input, 'a1', [new Partition(whole as PartitionRecord)]))[0]
  }

  it('shows where a partition is', () => {
    expect(rowOf({})).toEqual(['5', 'running', '10', '10', '12', '2', ''])
  })

  it('calls a partition at rest idle, as the command line does', () => {
    expect(rowOf({ resting: true })?.[1]).toBe('idle')
  })

  it('says why a partition is paused, and that its lag is the least it can be', () => {
    const why = 'paused by ann since 2026-07-01 08:00:00 UTC: wrong totals'
    expect(rowOf({ paused: note })).toEqual(['5', 'paused', '10', '10', '≥\u00a012', '≥\u00a02', why])
  })
})

describe('the page of a group', () => {
  const status: GroupStatus = {
    group: 'billing',
    stream: 'orders',
    revision,
    slices: 4,
    generation: 1,
    partitions: [0, 1, 2, 3, 4, 5],
    pauses: { group: null, partitions: [] },
    reports: [],
  }

  it('says that nothing is wrong', () => {
    expect(groupDetailsOf(status)).toContain('No partition is paused or in trouble')
  })

  it('has one row for a partition that is paused and blocked, with a link to its slice', () => {
    const reports = [{ partition: 5, condition: 'blocked' as const, reason: 'no such offset', since }]
    const pauses = { group: null, partitions: [{ partition: 5, ...note }] }
    const [row, ...others] = rowsOf(groupDetailsOf({ ...status, pauses, reports }))
    expect(others).toEqual([])
    expect(row?.slice(0, 3)).toEqual([
      '5',
      '[1](namespaces/{namespace}/workflows/tidemark%2Fbilling%2Forders%2F1)',
      'blocked, paused',
    ])
    expect(row?.[3]).toContain('wrong totals; since 2026-07-01 08:00:00 UTC: no such offset')
  })

  it('says that the whole group is paused', () => {
    const text = groupDetailsOf({ ...status, pauses: { group: note, partitions: [] } })
    expect(text).toContain('**The whole group is paused** by ann')
    expect(text).not.toContain('No partition is paused')
  })

  it('says that another config works in place of the one in force', () => {
    expect(groupDetailsOf({ ...status, version: 'b2' })).toContain('No worker holds config a1')
  })
})

describe('text that people and handlers wrote', () => {
  it('stays in its cell', () => {
    expect(plain('a | b\nc')).toBe('a \\| b c')
  })

  it('is neither HTML nor a link', () => {
    expect(plain('<b>*x*</b> [y](javascript:z) orders[3]')).toBe('\\<b\\>\\*x\\*\\</b\\> [y\\](javascript:z) orders[3]')
  })

  it('is cut where it is long', () => {
    expect(brief('x'.repeat(50), 10)).toBe(`${'x'.repeat(9)}…`)
  })
})

it('shows no more rows than a page can hold, and says how many are left', () => {
  const text = table(
    [{ name: 'n' }],
    Array.from({ length: 60 }, (_, n) => [String(n)]),
  )
  expect(rowsOf(text)).toHaveLength(50)
  expect(text).toContain('and 10 more')
})
