import { expect, it } from 'vitest'
import { pauseBefore } from '../../../activities/batch/pause.js'

const retry = { initialIntervalMs: 1_000, maximumIntervalMs: 60_000, backoff: 2 }

it.each([
  [2, 1_000],
  [3, 2_000],
  [7, 32_000],
  [8, 60_000],
  [5_000, 60_000],
])('before attempt %i it waits %i ms', (attempt, ms) => {
  expect(pauseBefore(attempt, retry)).toBe(ms)
})

it('does not grow where the back-off is 1', () => {
  expect(pauseBefore(9, { ...retry, backoff: 1 })).toBe(1_000)
})
