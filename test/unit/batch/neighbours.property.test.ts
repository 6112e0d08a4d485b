import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Neighbour, type Scenario, simulate } from '../../support/neighbours.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

/** What the engine allows itself, ms, and what timers of whole milliseconds add. */
const mostHeldMs = 250 + 2

/** A partition with `chunks` chunks of one message, which come every `everyMs` (0: all at once) and take `callMs` each. */
const healthy = fc.record({
  chunks: fc.integer({ min: 1, max: 25 }),
  everyMs: fc.constantFrom(0, 0, 40, 300, 900),
  callMs: fc.integer({ min: 0, max: 200 }),
})

const troubled: fc.Arbitrary<Neighbour> = fc.oneof(
  fc.record({
    chunks: fc.integer({ min: 1, max: 8 }),
    everyMs: fc.constantFrom(0, 300, 900),
    callMs: fc.integer({ min: 200, max: 6_000 }),
  }),
  fc.record({
    chunks: fc.integer({ min: 1, max: 8 }),
    everyMs: fc.constantFrom(0, 300),
    callMs: fc.integer({ min: 0, max: 2_000 }),
    failsAt: fc.nat(5),
  }),
  fc.record({
    chunks: fc.integer({ min: 1, max: 8 }),
    everyMs: fc.constantFrom(0, 300),
    callMs: fc.nat(200),
    blockedAt: fc.nat(5),
  }),
  fc.record({
    chunks: fc.integer({ min: 1, max: 8 }),
    everyMs: fc.constantFrom(0, 300),
    callMs: fc.integer({ min: 0, max: 3_000 }),
    releasedAtMs: fc.nat(4_000),
  }),
)

const scenario: fc.Arbitrary<Scenario> = fc.record({
  healthy: fc.array(healthy, { minLength: 1, maxLength: 5 }),
  troubled: fc.array(troubled, { minLength: 1, maxLength: 2 }),
  maxMessages: fc.constantFrom(1, 5, 1_000),
  maxDurationMs: fc.integer({ min: 200, max: 4_000 }),
  restAfterMs: fc.integer({ min: 500, max: 4_000 }),
  mayLeave: fc.constantFrom(0, 1, 4),
})

/** What has failed once. */
const found: [Scenario][] = [
  [
    {
      healthy: [{ chunks: 1, everyMs: 0, callMs: 0 }],
      troubled: [1, 2].map(() => ({ chunks: 1, everyMs: 0, callMs: 0, failsAt: 0 })),
      ...{ maxMessages: 5, maxDurationMs: 200, restAfterMs: 500, mayLeave: 0 },
    },
  ],
  [
    {
      healthy: [{ chunks: 2, everyMs: 900, callMs: 0 }],
      troubled: [{ chunks: 1, everyMs: 0, callMs: 893, failsAt: 0 }],
      ...{ maxMessages: 1_000, maxDurationMs: 894, restAfterMs: 500, mayLeave: 0 },
    },
  ],
]

it('keeps no healthy partition with messages waiting from its next chunk for more than 250 ms, whatever its neighbours do', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const { held, unhandled } = await virtualTime.until(simulate(given))
      expect(unhandled).toEqual([])
      expect(Math.max(...held)).toBeLessThanOrEqual(mostHeldMs)
    }),
    { numRuns: 150, examples: found, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  )
}, 90_000)
