import { setMaxListeners } from 'node:events'
import type { SlotMarkUsedContext, SlotPermit, SlotReserveContext } from '@temporalio/worker'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FairSlots, type Sharing, shareOf } from '../../src/worker/fair-slots.js'
import { virtualTime } from '../support/virtual-time.js'

const task = { type: 'activity', activityType: 'process' } as const
const lookEvery = 10_000

/** The SDK's side of a worker's slots. */
class Polls {
  readonly polling: SlotPermit[] = []
  readonly working: SlotPermit[] = []
  readonly refused: unknown[] = []
  looks = 0
  readonly slots: FairSlots

  constructor(public sharing: Sharing | Error) {
    this.slots = new FairSlots(async () => {
      this.looks++
      if (this.sharing instanceof Error) throw this.sharing
      return this.sharing
    }, lookEvery)
  }

  /** So many pollers ask for a slot. */
  async want(count: number, signal = new AbortController().signal): Promise<void> {
    // The SDK has a signal for each of them.
    setMaxListeners(0, signal)
    for (let i = 0; i < count; i++)
      this.slots.reserveSlot({} as SlotReserveContext, signal).then(
        (slot) => this.polling.push(slot),
        (error) => this.refused.push(error),
      )
    await virtualTime.pass(0)
  }

  /** So many batches come. */
  async take(count: number, waitedMs = 5): Promise<void> {
    for (const permit of this.polling.splice(0, count)) {
      this.working.push(permit)
      this.slots.markSlotUsed({ permit, slotInfo: task } satisfies SlotMarkUsedContext<typeof task>)
      this.slots.waited(waitedMs)
    }
    await virtualTime.pass(0)
  }

  async end(from: SlotPermit[], count: number): Promise<void> {
    for (const permit of from.splice(0, count)) this.slots.releaseSlot({ permit })
    await virtualTime.pass(0)
  }
}

describe('the share of a worker', () => {
  it.each([
    [16, 1, Number.POSITIVE_INFINITY],
    [null, 2, Number.POSITIVE_INFINITY],
    [16, 2, 9],
    [16, 3, 7],
    [100, 2, 56],
    [1, 50, 2],
  ])('of %s slices among %i workers is %d', (slices, workers, share) => {
    expect(shareOf({ slices, workers })).toBe(share)
  })
})

describe('the slots of a worker', () => {
  beforeEach(virtualTime.begin)
  afterEach(virtualTime.end)

  it('are as many as there are polls, where it is alone', async () => {
    const polls = new Polls({ slices: 4, workers: 1 })
    await polls.want(20)
    expect(polls.polling).toHaveLength(20)
  })

  it('are no more than its share, whether they poll or work', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    expect(polls.polling).toHaveLength(9)
    await polls.take(6)
    expect(polls.polling).toHaveLength(3)
  })

  it('become free when a poll comes back empty and when a batch ends', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    await polls.take(5)
    await polls.end(polls.polling, 1)
    expect(polls.polling).toHaveLength(4)
    await polls.end(polls.working, 2)
    expect(polls.polling).toHaveLength(6)
  })

  it('shrink to its share as batches end, once another worker is seen', async () => {
    const polls = new Polls({ slices: 16, workers: 1 })
    await polls.want(16)
    await polls.take(16)
    polls.sharing = { slices: 16, workers: 2 }
    await virtualTime.pass(lookEvery)
    await polls.want(1)
    await polls.end(polls.polling, 1)
    await polls.want(16)
    await polls.end(polls.working, 7)
    expect(polls.polling).toHaveLength(0)
    await polls.end(polls.working, 1)
    expect(polls.polling).toHaveLength(1)
  })

  it('include a spare one, a second after the worker has begun to poll with none', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    await polls.take(9)
    await virtualTime.pass(900)
    expect(polls.polling).toHaveLength(0)
    await virtualTime.pass(1_100)
    expect(polls.polling).toHaveLength(1)
    await virtualTime.pass(10_000)
    expect(polls.polling).toHaveLength(1)
  })

  it('include the next spare one at once, where the batch has waited', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    await polls.take(9)
    await virtualTime.pass(2_000)
    for (let i = 0; i < 7; i++) {
      expect(polls.polling).toHaveLength(1)
      await polls.take(1, 700)
    }
    expect(polls.working).toHaveLength(16)
    await polls.take(1, 5)
    expect(polls.polling).toHaveLength(0)
  })

  it('mistake no difference of clocks for a wait', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    await polls.take(9, 60_000)
    expect(polls.polling).toHaveLength(0)
  })

  it('include a spare one also where nothing can be seen', async () => {
    const polls = new Polls(new Error('unreachable'))
    await polls.want(5)
    expect(polls.polling).toHaveLength(0)
    await virtualTime.pass(1_000)
    expect(polls.polling).toHaveLength(1)
  })

  it('stay as they were, where nothing can be seen any more', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    polls.sharing = new Error('unreachable')
    await virtualTime.pass(lookEvery)
    await polls.end(polls.polling, 4)
    expect(polls.polling).toHaveLength(9)
  })

  it('are not lost to a poll that the SDK has forgotten', async () => {
    const polls = new Polls({ slices: 1, workers: 2 })
    await polls.want(3)
    expect(polls.polling).toHaveLength(2)
    await virtualTime.pass(122_000)
    expect(polls.polling).toHaveLength(3)
  })

  it('are wanted no more after an abort', async () => {
    const polls = new Polls({ slices: 1, workers: 2 })
    await polls.want(2)
    const ending = new AbortController()
    await polls.want(2, ending.signal)
    ending.abort()
    await polls.want(1, ending.signal)
    await polls.end(polls.polling, 1)
    expect(polls.refused).toEqual([ending.signal.reason, ending.signal.reason, ending.signal.reason])
    expect(polls.polling).toHaveLength(1)
  })

  it('ask for the number of workers no more often than told', async () => {
    const polls = new Polls({ slices: 16, workers: 2 })
    await polls.want(20)
    await virtualTime.pass(2.5 * lookEvery)
    expect(polls.looks).toBe(3)
  })
})
