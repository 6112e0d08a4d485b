import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Departures } from '../../../activities/batch/departures.js'
import type { PartitionOutcome } from '../../../src/model/batch.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

const outcome = (partition: number): PartitionOutcome => ({
  partition,
  epoch: 1,
  batch: 1,
  to: '5',
  head: '5',
  messages: 5,
  end: 'released',
})

function departures() {
  const told: number[][] = []
  const tell = async (outcomes: readonly PartitionOutcome[]) =>
    void told.push(outcomes.map(({ partition }) => partition))
  return { departures: new Departures({ tell }), told }
}

describe('a batch that lets go', () => {
  it('tells its slice after a moment of those that are out, and then once a second of more', async () => {
    const { departures: one, told } = departures()
    void one.tellLate(() => false)
    one.keep(outcome(0))
    one.keep(outcome(1))
    await virtualTime.pass(249)
    expect(told).toEqual([])
    await virtualTime.pass(1)
    expect(told).toEqual([[0, 1]])
    one.keep(outcome(2))
    await virtualTime.pass(1_000)
    expect(told).toEqual([[0, 1], [2]])
  })

  it('tells nothing that its result says', async () => {
    const { departures: one, told } = departures()
    let over = false
    const late = one.tellLate(() => over)
    one.keep(outcome(0))
    await virtualTime.pass(100)
    over = true
    await virtualTime.until(late)
    expect(told).toEqual([])
  })
})
