import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchClock } from '../../../activities/batch/batch-clock.js'
import type { BatchInput } from '../../../src/model/batch.js'
import { virtualTime } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

const limits = { maxMessages: 100, maxDurationMs: 30_000, idleGapMs: 2_000, restAfterMs: 60_000 }
const clock = (input: Pick<BatchInput, 'apart' | 'closesInMs'> = {}) => new BatchClock(limits, input)

describe('a batch is due', () => {
  it('when a partition is full', () => {
    expect([clock().due(99, false), clock().due(100, false)]).toEqual([null, 'more'])
  })

  it('so long after its first message, however many follow', async () => {
    const one = clock()
    await virtualTime.pass(20_000)
    one.received()
    await virtualTime.pass(29_999)
    one.received()
    expect(one.due(1, true)).toBeNull()
    await virtualTime.pass(1)
    expect(one.due(1, true)).toBe('more')
  })

  it('sooner where its slice says so', async () => {
    const one = clock({ closesInMs: 1_000 })
    one.received()
    await virtualTime.pass(1_000)
    expect(one.due(1, false)).toBe('more')
  })

  it('to rest when nothing came for a while, and no handler is at work', async () => {
    const one = clock()
    await virtualTime.pass(60_000)
    expect([one.due(0, true), one.due(0, false)]).toEqual([null, 'rest'])
  })

  it('at its first message where its partition is worked apart', () => {
    expect([clock({ apart: 'failed' }).due(0, false), clock({ apart: 'slow' }).due(1, false)]).toEqual([null, 'more'])
  })
})

describe('a partition waits', () => {
  it('until the batch would rest, and no longer than a minute', async () => {
    const one = clock()
    expect(one.waitMs).toBe(60_000)
    await virtualTime.pass(45_000)
    expect(one.waitMs).toBe(15_000)
  })

  it('until the batch is old, once a message has come', async () => {
    const one = clock()
    one.received()
    await virtualTime.pass(10_000)
    expect(one.waitMs).toBe(20_000)
  })

  it('for a moment where the batch is due', async () => {
    const one = clock()
    await virtualTime.pass(70_000)
    expect(one.waitMs).toBe(1)
  })
})
