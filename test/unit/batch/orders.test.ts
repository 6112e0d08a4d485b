import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Listener, Orders } from '../../../activities/batch/orders.js'
import type { Cluster, WorkflowLook } from '../../../activities/runtime.js'
import { running } from '../../support/fake-cluster.js'
import { silentLog } from '../../support/silent-log.js'

const name = { group: 'billing', stream: 'orders' }

/** A batch of partitions 0 to 2: of epoch 2, batch 5. */
class Batch implements Listener {
  ended = 0
  released: number[] = []
  end() {
    this.ended++
  }
  release(isAsked: (partition: number, epoch: number, batch: number) => boolean) {
    this.released = [0, 1, 2].filter((partition) => isAsked(partition, 2, 5))
  }
}

describe('orders', () => {
  let answer: () => WorkflowLook | null
  let looked: string[]
  let batch: Batch
  let orders: Orders
  let cluster: Cluster
  const log = silentLog()

  beforeEach(() => {
    vi.useFakeTimers()
    looked = []
    answer = () => running
    log.lines.length = 0
    batch = new Batch()
    const look = async (id: string) => {
      looked.push(id)
      return answer()
    }
    cluster = { look, signal: async () => {}, endStranded: async () => false }
    orders = new Orders(cluster, log, name, 3, 'activity-7')
  })
  afterEach(() => {
    orders.stop()
    vi.useRealTimers()
  })
  const away = () => {
    throw new Error('connection refused')
  }

  it("are looked for in the batch's own slice, every two seconds", async () => {
    orders.follow(batch)
    await vi.advanceTimersByTimeAsync(1_999)
    expect(looked).toEqual([])
    await vi.advanceTimersByTimeAsync(4_001)
    expect(looked).toEqual(Array(3).fill('tidemark/billing/orders/3'))
  })

  it('are not looked for any more after the batch', async () => {
    orders.follow(batch)
    await vi.advanceTimersByTimeAsync(2_000)
    orders.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(looked).toHaveLength(1)
  })

  it('ask for nothing while the slice just runs', async () => {
    await orders.look(batch)
    expect(batch).toEqual({ ended: 0, released: [] })
  })

  it.each([
    ['is cancelled in Temporal', { ...running, status: 'cancelled' as const }],
    ['is terminated in Temporal', { ...running, status: 'terminated' as const }],
    ['has ended', { ...running, status: 'ended' as const }],
    ['is not there', null],
  ])('end the batch when its slice %s', async (_, look) => {
    answer = () => look
    await orders.look(batch)
    expect(batch.ended).toBe(1)
  })

  it('end the batch when its activity is asked to end, and not when a sibling is', async () => {
    answer = () => ({ ...running, cancelled: new Set(['activity-8']) })
    await orders.look(batch)
    expect(batch.ended).toBe(0)
    answer = () => ({ ...running, cancelled: new Set(['activity-8', 'activity-7']) })
    await orders.look(batch)
    expect(batch.ended).toBe(1)
  })

  it.each([
    ['this very batch', [2, 5], [1]],
    ['a later batch', [2, 6], [1]],
    ['a newer epoch', [3, 0], [1]],
    ['an earlier batch', [2, 4], []],
    ['an older epoch, whatever its batch', [1, 99], []],
  ] as const)('release a partition that has to let go of %s', async (_, upTo, released) => {
    answer = () => ({ ...running, memo: { letGo: { 1: upTo } } })
    await orders.look(batch)
    expect(batch).toEqual({ ended: 0, released })
  })

  it('are unheard while Temporal does not answer, which the log says once', async () => {
    answer = away
    await orders.look(batch)
    await orders.look(batch)
    expect(orders.heard).toBe(false)
    expect(batch).toEqual({ ended: 0, released: [] })
    expect(log.lines.map(({ level }) => level)).toEqual(['warn'])
  })

  it('that wait for Temporal together say so once, and once when all of them hear again', async () => {
    const other = new Orders(cluster, log, name, 4, 'activity-8')
    answer = away
    await Promise.all([orders.look(batch), other.look(batch)])
    expect(log.lines.map(({ level }) => level)).toEqual(['warn'])
    answer = () => running
    await orders.look(batch)
    expect(log.lines).toHaveLength(1)
    await other.look(batch)
    expect(log.lines.slice(1)).toMatchObject([{ level: 'info', message: 'Temporal answers again' }])
  })

  it('of a batch that is over are not waited for', async () => {
    const other = new Orders(cluster, log, name, 4, 'activity-8')
    answer = away
    await Promise.all([orders.look(batch), other.look(batch)])
    answer = () => running
    other.stop()
    await orders.look(batch)
    expect(log.lines.at(-1)).toMatchObject({ message: 'Temporal answers again' })
  })

  it('are heard again when Temporal answers, and looked for all the time', async () => {
    answer = away
    orders.follow(batch)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(orders.heard).toBe(false)
    answer = () => ({ ...running, memo: { letGo: { 0: [2, 5] } } })
    await vi.advanceTimersByTimeAsync(2_000)
    expect(orders.heard).toBe(true)
    expect(batch.released).toEqual([0])
    expect(log.lines.at(-1)).toMatchObject({ level: 'info', message: 'Temporal answers again' })
  })

  it('say nothing of an outage once the batch is over', async () => {
    answer = away
    orders.stop()
    await orders.look(batch)
    expect(log.lines).toEqual([])
  })
})
