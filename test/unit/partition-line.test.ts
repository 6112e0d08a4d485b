import { describe, expect, it } from 'vitest'
import { type Evidence, lineOf, withoutWorkers } from '../../src/client/partition-line.js'
import type { PartitionPosition } from '../../src/client/positions.js'
import type { StoppedPartition } from '../../src/model/commands.js'
import type { GroupRecord, Pause } from '../../src/ports/index.js'

const since = '2026-07-01T08:00:00.000Z'
const blocked: StoppedPartition = { partition: 1, condition: 'blocked', reason: 'not JSON', since, replay: 2 }
const pause: Pause = { at: new Date(0), by: 'ann@desk', why: 'bad deploy' }
const record = (paused: GroupRecord['paused']): GroupRecord => ({
  group: 'bank',
  stream: 'orders',
  slices: 16,
  generation: 1,
  partitions: [0, 1],
  stopped: null,
  paused,
})
const unpaused = record({ group: null, partitions: new Map() })
const seen = (partition: number, known: Partial<Evidence>, replay: number | null = null) =>
  lineOf(
    partition,
    withoutWorkers(
      partition,
      { unheard: 'stopped (no worker)', stop: null, record: unpaused, reports: [blocked], ...known },
      { replay },
    ),
  )

describe('a partition that its workers tell of', () => {
  const told = { state: 'paused' as const, reason: '', since, working: false, position: '90', epoch: 4 }
  const stored = { partition: 0, committed: 50n, epoch: 4, replay: 1, remark: '' } as PartitionPosition

  it('is where they say, ahead of what is committed', () => {
    expect(lineOf(0, told, stored)).toMatchObject({ position: '90', committed: '50' })
  })

  it('is where it was put after a reset that they have not heard of', () => {
    expect(lineOf(0, told, { ...stored, epoch: 5 })).toMatchObject({ position: '50', committed: '50' })
  })
})

describe('a partition where no worker answers', () => {
  it('is blocked or fenced as its slice has said, with the reason and since when', () => {
    expect(seen(1, {})).toMatchObject({ state: 'blocked', reason: 'not JSON', since })
    const fenced = { ...blocked, condition: 'fenced' as const, reason: 'epoch 8 has it' }
    expect(seen(1, { reports: [fenced] })).toMatchObject({ state: 'fenced', reason: 'epoch 8 has it', since })
  })

  it('is stopped for want of a worker where nothing is known to be wrong', () => {
    expect(seen(0, {})).toMatchObject({ state: 'stopped (no worker)', reason: '', since: null })
  })

  it('is not running without a workflow, and unknown without Temporal', () => {
    for (const unheard of ['not running', 'unknown'] as const) expect(seen(0, { unheard }).state).toBe(unheard)
  })

  it('is paused before it is blocked, and gives both reasons', () => {
    const both = { state: 'paused', reason: 'bad deploy (and blocked: not JSON)', since: pause.at.toISOString() }
    expect(seen(1, { record: record({ group: pause, partitions: new Map() }) })).toMatchObject(both)
    expect(seen(1, { record: record({ group: null, partitions: new Map([[1, pause]]) }) })).toMatchObject(both)
    expect(seen(0, { record: record({ group: pause, partitions: new Map() }) }).reason).toBe('bad deploy')
  })

  it('is stopped with its group, whatever was wrong', () => {
    const stop = { ...pause, how: 'cancelled' as const }
    expect(seen(1, { stop })).toMatchObject({ state: 'stopped', reason: 'bad deploy' })
  })

  it('is not blocked any more once a person has moved its position', () => {
    expect(seen(1, {}, 2).state).toBe('blocked')
    expect(seen(1, {}, 3).state).toBe('stopped (no worker)')
  })
})
