import { describe, expect, it } from 'vitest'
import { untilSettled } from '../../../src/testing/settle.js'
import type { Standing, TestPartition } from '../../../src/testing/states.js'

const partition: TestPartition = {
  group: 'billing',
  stream: 'orders',
  partition: 3,
  state: 'idle',
  reason: '',
  position: 4n,
  committed: 4n,
  head: 5n,
  lag: 1n,
}
const settled: Standing = { partitions: [partition], busy: [], asleep: [] }
const asleep: Standing = { partitions: [partition], busy: [partition], asleep: [partition] }

function settling(looks: readonly (Standing | undefined)[], work = { inHand: 0 }, timeoutMs = 5_000) {
  const left = [...looks]
  const woken: unknown[] = []
  const done = untilSettled({
    look: async () => (left.length > 1 ? left.shift() : left[0]),
    wake: async (places) => void woken.push(...places),
    work,
    timeoutMs,
    remarks: () => 'seed 5',
  })
  return { done, woken }
}

describe('settling', () => {
  it('ends with the first look that finds nothing busy', async () => {
    const busy = { ...settled, busy: [partition] }
    expect(await settling([undefined, busy, settled]).done).toEqual([partition])
  })

  it('does not look while something is in hand', async () => {
    const work = { inHand: 1 }
    const { done } = settling([settled], work, 50)
    await expect(done).rejects.toThrow('not settled after 50 ms, 1 activities are running')
  })

  it('says how the partitions stand when it takes too long', async () => {
    const { done } = settling([{ ...settled, busy: [partition] }], { inHand: 0 }, 30)
    await expect(done).rejects.toThrow(/billing orders\[3\] idle: position 4, committed 4, head 5\nseed 5/)
  })

  it('announces messages again that nothing handles', async () => {
    const looks = Array.from({ length: 200 }, () => asleep)
    const { done, woken } = settling(looks, { inHand: 0 }, 400)
    await expect(done).rejects.toThrow('not settled')
    expect(woken[0]).toEqual({ stream: 'orders', partition: 3, offset: 4n })
  })
})
