import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkSize } from '../../../activities/batch/chunk-size.js'

interface Handler {
  /** What a call takes, ms, beside its messages. */
  readonly callMs?: number
  readonly messageMs: number
}

function ground({ maxMessages = 10_000, targetMs = 2_000 as number | null } = {}) {
  const time = { now: 0 }
  const size = new ChunkSize({ maxMessages, fetchBytes: 1_000, targetMs }, () => time.now)
  const msOf = (messages: number, { callMs = 0, messageMs }: Handler) => callMs + messages * messageMs
  /** Handles so many full chunks one after another; returns their sizes. */
  const handle = (handler: Handler, chunks: number): number[] =>
    Array.from({ length: chunks }, () => {
      const { messages } = size
      const ms = msOf(messages, handler)
      time.now += ms
      size.handled(messages, ms, true)
      return messages
    })
  return { size, handle, time, msOf }
}

/** The sizes between are trials. */
function mostFrequent(sizes: readonly number[]): number {
  const count = (size: number) => sizes.filter((one) => one === size).length
  return sizes.reduce((a, b) => (count(b) > count(a) ? b : a))
}

describe('the size of chunks', () => {
  it('is what is allowed, at once, where it is not to adapt', () => {
    const { size, handle } = ground({ targetMs: null })
    expect(size.messages).toBe(10_000)
    handle({ messageMs: 100 }, 3)
    expect(size.messages).toBe(10_000)
  })

  it('grows from 100 to all that is allowed after one chunk that took next to nothing', () => {
    expect(ground().handle({ messageMs: 0.003 }, 3)).toEqual([100, 10_000, 10_000])
  })

  it('doubles where a chunk takes a good part of the target, and tries a single one beyond it', () => {
    expect(ground().handle({ messageMs: 4 }, 6)).toEqual([100, 200, 400, 800, 400, 400])
  })

  it('is one for a handler that is slow with 10 ms a message', () => {
    const { size, handle } = ground()
    const sizes = handle({ messageMs: 10 }, 50)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(400)
    expect(size.messages).toBe(200)
  })

  it('shrinks at once when the handler becomes slow', () => {
    const { size, handle } = ground()
    handle({ messageMs: 0.1 }, 5)
    expect(size.messages).toBe(10_000)
    handle({ messageMs: 10 }, 1)
    expect(size.messages).toBeLessThanOrEqual(200)
  })

  it('grows again when the handler is as quick as before', () => {
    const { size, handle } = ground()
    handle({ messageMs: 0.1 }, 5)
    handle({ messageMs: 10 }, 10)
    handle({ messageMs: 0.1 }, 10)
    expect(size.messages).toBe(10_000)
  })

  it('does not shrink where that costs throughput', () => {
    const { size, handle } = ground()
    handle({ messageMs: 0.01 }, 5)
    const bulk = { callMs: 3_000, messageMs: 0.01 }
    handle(bulk, 20)
    expect(size.messages).toBe(10_000)
  })

  it('grows beyond the target where a call takes long however few its messages are', () => {
    const { size, handle } = ground()
    handle({ callMs: 3_000, messageMs: 0.01 }, 20)
    expect(size.messages).toBe(10_000)
  })

  it('learns nothing from chunks that were not full', () => {
    const { size } = ground()
    size.handled(3, 10_000, false)
    size.handled(3, 1, false)
    expect(size.messages).toBe(100)
  })

  it('grows once by what several partitions have measured at the same time', () => {
    const { size } = ground()
    for (let partition = 0; partition < 10; partition++) size.handled(100, 500, true)
    expect(size.messages).toBe(200)
  })

  it('shrinks below what a fetch brings, where chunks hold no more than that', () => {
    const { size, handle } = ground()
    handle({ messageMs: 0.01 }, 3)
    size.handled(3_000, 30_000, true)
    expect(size.messages).toBe(200)
  })

  it('looks again, after a while, whether smaller chunks have become worth it', () => {
    const { size, handle, time } = ground()
    handle({ callMs: 3_000, messageMs: 0.01 }, 20)
    const sizes = handle({ callMs: 1, messageMs: 0.31 }, 20)
    time.now += 600_000
    sizes.push(...handle({ callMs: 1, messageMs: 0.31 }, 20))
    expect(size.messages).toBeLessThanOrEqual(6_400)
  })

  it('stays within its bounds, meets the target where it can, and keeps throughput where it can not', () => {
    const handler = fc.record({
      callMs: fc.double({ min: 0, max: 5_000, noNaN: true }),
      messageMs: fc.double({ min: 0.001, max: 5_000, noNaN: true }),
    })
    const given = fc.record({ maxMessages: fc.integer({ min: 1, max: 100_000 }), before: handler, handler })
    fc.assert(
      fc.property(given, ({ maxMessages, before, handler }) => {
        const { handle, msOf, time } = ground({ maxMessages })
        const sizes = handle(before, 30)
        time.now += 600_000
        for (let round = 0; round < 5; round++) {
          sizes.push(...handle(handler, 40))
          time.now += 3_600_000 * 24
        }
        const last = handle(handler, 40)
        sizes.push(...last)
        const isWithin = (messages: number) => Number.isInteger(messages) && messages >= 1 && messages <= maxMessages
        expect(sizes.filter((messages) => !isWithin(messages))).toEqual([])
        const settled = mostFrequent(last)
        const ms = msOf(settled, handler)
        const perMessage = ms / settled
        const half = Math.max(1, Math.floor(settled / 2))
        const best = msOf(maxMessages, handler) / maxMessages
        const costsThroughput = msOf(half, handler) / half > 1.14 * best
        expect(ms <= 2_000.1 || settled === 1 || costsThroughput, `${settled} messages take ${ms} ms`).toBe(true)
        const isSmall = settled < maxMessages && ms <= 500
        expect(isSmall, `${settled} messages take ${ms} ms`).toBe(false)
        expect(perMessage <= 2 * best || ms <= 2_000.1, `${perMessage} ms a message, not ${best}`).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
