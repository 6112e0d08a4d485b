import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arrived, idleGap, unknownRhythm } from '../../src/model/rhythm.js'

const limits = { idleGapMs: 2_000, maxDurationMs: 30_000 }
const every = (ms: number, times: number) => {
  let rhythm = unknownRhythm
  for (let i = 0; i < times; i++) rhythm = arrived(rhythm, 1_000_000 + i * ms)
  return rhythm
}

describe('the idle gap', () => {
  it('is the configured one while nothing is known, and where messages pour', () => {
    expect(idleGap(unknownRhythm, limits)).toBe(2_000)
    expect(idleGap(every(1, 50), limits)).toBe(2_000)
  })
  it('waits for the next message where they come every few seconds', () => {
    expect(idleGap(every(5_000, 10), limits)).toBeGreaterThanOrEqual(10_000)
  })
  it('does not hold a batch open for messages that come too rarely', () => {
    expect(idleGap(every(60_000, 10), limits)).toBe(2_000)
  })
  it('is never longer than a batch may last, and never negative', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -10_000, max: 100_000 })), (gaps) => {
        let at = 1_000_000
        let rhythm = unknownRhythm
        for (const gap of gaps) {
          at += gap
          rhythm = arrived(rhythm, at)
        }
        const gap = idleGap(rhythm, limits)
        expect(gap).toBeGreaterThanOrEqual(2_000)
        expect(gap).toBeLessThanOrEqual(30_000)
      }),
    )
  })
})
