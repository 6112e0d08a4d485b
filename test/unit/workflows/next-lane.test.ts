import { describe, expect, it } from 'vitest'
import type { Condition } from '../../../src/model/condition.js'
import type { Lane, LaneKind } from '../../../workflows/slice/lane.js'
import { nextLane } from '../../../workflows/slice/next-lane.js'
import { Partition } from '../../../workflows/slice/partition.js'

const partition = (index: number, condition: Condition = 'healthy'): Partition =>
  new Partition({ partition: index, condition, reason: '', since: '', paused: null, owned: true })

const lane = (kind: LaneKind, ...partitions: Partition[]) =>
  ({ kind, members: new Map(partitions.map((one) => [one, 1])) }) as unknown as Lane

/** What is started next, of partitions and the lanes under way. */
function next(partitions: readonly Partition[], ...lanes: Lane[]) {
  const found = nextLane(partitions, new Set(lanes))
  return found && [found.kind, ...found.partitions.map(({ index }) => index)]
}

describe('the next batch', () => {
  it('has all healthy partitions', () => {
    expect(next([partition(0), partition(1)])).toEqual(['slice', 0, 1])
  })

  it('is none where every partition is in a batch or blocked', () => {
    const working = partition(0)
    expect(next([working, partition(1, 'blocked')], lane('slice', working))).toBeNull()
  })

  it('has partitions that became ready late, beside the batch that is under way', () => {
    const working = partition(0)
    expect(next([working, partition(1)], lane('slice', working))).toEqual(['late', 1])
  })

  it('has one partition in trouble, before all others', () => {
    expect(next([partition(0), partition(1, 'retrying'), partition(2, 'retrying')])).toEqual(['apart', 1])
  })

  it('has those in trouble too where four are worked apart already', () => {
    const apart = [0, 1, 2, 3].map((index) => partition(index, 'retrying'))
    const lanes = apart.map((one) => lane('apart', one))
    const [fifth, healthy] = [partition(4, 'retrying'), partition(5)]
    expect(next([...apart, fifth, healthy], ...lanes)).toEqual(['slice', 4, 5])
    const working = partition(6)
    expect(next([...apart, fifth, working], ...lanes, lane('slice', working))).toBeNull()
  })

  it('waits where four shared batches are under way', () => {
    const working = [0, 1, 2, 3].map((index) => partition(index))
    const lanes = working.map((one, index) => lane(index === 0 ? 'slice' : 'late', one))
    expect(next([...working, partition(4)], ...lanes)).toBeNull()
  })
})
