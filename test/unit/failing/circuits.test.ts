import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Circuits } from '../../../activities/failing/circuits.js'
import { silentLog } from '../../support/silent-log.js'
import { virtualTime } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

/** Waits as a partition does. Returns after how many ms it may try. */
async function turn(circuits: Circuits, partition: string): Promise<number> {
  const began = performance.now()
  for (let wait = circuits.waitOf(partition); wait > 0; wait = circuits.waitOf(partition)) await pass(wait)
  return performance.now() - began
}

describe('what handlers need and is away', () => {
  it('concerns nobody who does not need it', () => {
    const circuits = new Circuits(silentLog())
    circuits.failed('a', 'payments')
    expect(circuits.waitOf('b')).toBe(0)
    expect(circuits.waitingOf('b')).toBeNull()
    expect(circuits.waitingOf('a')).toMatchObject({ dependency: 'payments' })
  })

  it('is tried by one partition at a time, with growing pauses of 6.25 s at the most', async () => {
    const circuits = new Circuits(silentLog())
    for (const one of ['a', 'b', 'c']) circuits.failed(one, 'payments')
    const pauses: number[] = []
    for (let round = 0; round < 8; round++) {
      pauses.push(await turn(circuits, 'a'))
      expect(circuits.waitOf('b')).toBeGreaterThan(0)
      expect(circuits.waitOf('c')).toBeGreaterThan(0)
      circuits.failed('a', 'payments')
    }
    expect(pauses[0]).toBeLessThan(700)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(6_250)
    expect(pauses.at(-1)).toBeGreaterThan(3_000)
  })

  it('is back for all of them once one has handled a chunk', async () => {
    const log = silentLog()
    const circuits = new Circuits(log)
    for (const one of ['a', 'b']) circuits.failed(one, 'payments')
    await turn(circuits, 'b')
    circuits.handled('b')
    expect(circuits.waitOf('a')).toBe(0)
    expect(circuits.waitingOf('a')).toBeNull()
  })

  it('is tried by another partition where the one that tries is gone, or takes long', async () => {
    const circuits = new Circuits(silentLog())
    for (const one of ['a', 'b', 'c']) circuits.failed(one, 'payments')
    await turn(circuits, 'a')
    circuits.left('a')
    expect(circuits.waitOf('b')).toBe(0)
    expect(circuits.waitOf('c')).toBeGreaterThan(0)
    await pass(10_001)
    expect(circuits.waitOf('c')).toBe(0)
  })

  it('is another one than the last time where the partition fails for another reason', () => {
    const circuits = new Circuits(silentLog())
    circuits.failed('a', 'payments')
    circuits.failed('a', 'mail')
    expect(circuits.waitingOf('a')).toMatchObject({ dependency: 'mail' })
    circuits.left('a')
    expect(circuits.waitOf('a')).toBe(0)
  })
})
