import { expect, it } from 'vitest'
import { sweepLetters } from '../../../activities/failing/retention.js'
import type { AfterLastTry } from '../../../src/model/policy.js'

type Runtime = Parameters<typeof sweepLetters>[0]

/** A consumer whose database has so many old letters. */
function setUp(old: number, afterLastTry: Partial<AfterLastTry> = { policy: 'dead-letter', retentionMs: 5_000 }) {
  const asked: unknown[][] = []
  const warnings: object[] = []
  const draining = new AbortController()
  let left = old
  const expire = async (...args: unknown[]) => {
    asked.push(args)
    if (Number.isNaN(left)) throw new Error('no connection')
    const deleted = Math.min(left, args[2] as number)
    left -= deleted
    return deleted
  }
  const runtime = {
    letters: { expire },
    settings: { group: 'billing', stream: 'orders', failures: { afterLastTry } },
    log: { debug: () => {}, warn: (place: object) => warnings.push(place) },
    draining: draining.signal,
  } as unknown as Runtime
  return { runtime, asked, warnings, draining, left: () => left }
}
const name = { group: 'billing', stream: 'orders' }

it('old letters are deleted piece by piece, those of the group alone, and once a minute at most', async () => {
  const { runtime, asked, left } = setUp(1_500)
  await Promise.all([sweepLetters(runtime), sweepLetters(runtime)])
  await sweepLetters(runtime)
  expect(asked).toEqual([
    [name, 5_000, 1_000],
    [name, 5_000, 1_000],
  ])
  expect(left()).toBe(0)
})

it('of a consumer that sets nothing aside any more, letters are kept for a month', async () => {
  const { runtime, asked } = setUp(0, { policy: 'skip' })
  await sweepLetters(runtime)
  expect(asked).toEqual([[name, 30 * 24 * 3_600_000, 1_000]])
})

it('what can not be deleted now is said, and fails nobody', async () => {
  const { runtime, warnings } = setUp(Number.NaN)
  await sweepLetters(runtime)
  expect(warnings).toEqual([{ ...name, error: 'no connection' }])
})

it('a worker that stops deletes no other piece', async () => {
  const { runtime, asked, draining } = setUp(9_000)
  draining.abort()
  await sweepLetters(runtime)
  expect(asked.length).toBe(0)
})
