import { describe, expect, it } from 'vitest'
import { type Findings, problemOf } from '../../src/client/problem.js'
import type { GroupView, PartitionView } from '../../src/client/status.js'
import type { GroupRecord, Pause } from '../../src/ports/index.js'
import type { GroupWorkflow } from '../../src/temporal/group-workflow.js'

const name = { group: 'bank', stream: 'orders' }
const pause: Pause = { at: new Date(0), by: 'ann@desk', why: 'bad deploy' }
const workflow = (state: GroupWorkflow['state'], why = ''): GroupWorkflow => ({
  state,
  why,
  runId: 'run',
  firstRunId: 'run',
  taskQueue: 'queue',
  endedAt: null,
  result: null,
})
const record = (of: Partial<GroupRecord> = {}): GroupRecord => ({
  ...name,
  slices: 16,
  generation: 1,
  partitions: [0, 1],
  stopped: null,
  paused: { group: null, partitions: new Map() },
  ...of,
})
const view = (...states: PartitionView['state'][]): GroupView => ({
  ...name,
  config: { version: '1', startedAt: '', startedBy: '' },
  paused: null,
  partitions: states.map((state, partition) => ({ partition, state, reason: '', since: '', working: false })),
})
const problem = (findings: Partial<Findings>) =>
  problemOf(name, { workflow: null, record: null, view: null, unanswered: null, ...findings })
const running = { workflow: workflow('running'), record: record() }

describe('the problem of a group that should run', () => {
  it('is none while its workers answer and its slices run', () => {
    expect(problem({ ...running, view: view('running', 'blocked') })).toBeNull()
  })

  it('is that it was never started, or that its workflow is gone', () => {
    expect(problem({})).toMatch(/^group bank on orders does not run: it was never started; /)
    expect(problem({ record: record() })).toContain('does not run: its workflow is not there;')
  })

  it('is how its workflow ended', () => {
    expect(problem({ workflow: workflow('failed', 'its workflow timed out'), record: record() })).toContain(
      'does not run: its workflow timed out;',
    )
  })

  it('is that nobody answers', () => {
    expect(problem({ ...running, unanswered: new Error('no worker answers') })).toBe(
      'group bank on orders: no worker answers',
    )
  })

  it('is a slice that is gone, but not of partitions that are paused', () => {
    const gone = view('not running', 'not running')
    expect(problem({ ...running, view: gone })).toContain("partitions 0, 1 can't run")
    const paused = { group: null, partitions: new Map([[0, pause]]) }
    expect(problem({ ...running, view: gone, record: record({ paused }) })).toContain("partition 1 can't run")
  })

  it('is none where a person has paused all of it', () => {
    const partitions = new Map([
      [0, pause],
      [1, pause],
    ])
    expect(problem({ record: record({ paused: { group: pause, partitions: new Map() } }) })).toBeNull()
    expect(problem({ record: record({ paused: { group: null, partitions } }) })).toBeNull()
    expect(problem({ record: record({ paused: { group: null, partitions: new Map([[1, pause]]) } }) })).not.toBeNull()
  })

  it('is none where a person has stopped it, written down or not', () => {
    expect(problem({ record: record({ stopped: { ...pause, how: 'cancelled' } }) })).toBeNull()
    expect(problem({ record: record(), workflow: workflow('terminated') })).toBeNull()
  })

  it('is none where a bounded run has finished', () => {
    expect(problem({ record: record(), workflow: workflow('finished') })).toBeNull()
  })
})
