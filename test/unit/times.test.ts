import { afterEach, describe, expect, it } from 'vitest'
import { age, ago, when } from '../../src/cli/format.js'
import { parseTarget } from '../../src/client/target.js'
import { start } from '../../src/config/start.js'
import { dateOf, momentOf } from '../../src/model/times.js'

it.each([-1, 0, Number.NaN, Infinity, -Infinity, 9e15])('%d ms since 1970 are no time', (ms) => {
  expect(dateOf(ms)).toBeNull()
})

it('a time is a date', () => {
  const time = new Date('2026-07-01T08:00:00Z')
  expect(dateOf(time.getTime())).toEqual(time)
})

describe('a moment', () => {
  // The zone of the tests' machine must not matter; Node reads TZ again whenever it is set.
  const { TZ } = process.env
  afterEach(() => {
    if (TZ === undefined) delete process.env.TZ
    else process.env.TZ = TZ
  })

  it.each(['America/New_York', 'Asia/Kolkata', 'UTC'])('without a zone is UTC where the machine is in %s', (zone) => {
    process.env.TZ = zone
    expect(momentOf('2026-07-01')).toBe(Date.UTC(2026, 6, 1))
    expect(momentOf('2026-07-01T08:00')).toBe(Date.UTC(2026, 6, 1, 8))
    expect(momentOf('2026-07-01 08:00:00.5')).toBe(Date.UTC(2026, 6, 1, 8, 0, 0, 500))
    expect(parseTarget('2026-07-01')).toEqual(start.parse({ timestamp: '2026-07-01' }))
  })

  it.each(['2026-07-01T08:00+02:00', '2026-07-01 08:00+0200', '2026-07-01T06:00:00Z'])('%s is in its zone', (text) => {
    expect(momentOf(text)).toBe(Date.UTC(2026, 6, 1, 6))
  })

  it.each(['2026-02-30', '2026-02-29T08:00', '2026-04-31 10:00:00Z', '2026-13-01', '2026-00-10', '2026-01-00'])(
    '%s is in no calendar',
    (text) => {
      expect(momentOf(text)).toBeNull()
    },
  )

  it.each(['2026-07-01T25:00', '2026-07-01T08:60Z', '2026-07-01T08:00+99:00', '1 July 2026', '12/11/2026', '', '2026'])(
    "'%s' is none",
    (text) => {
      expect(momentOf(text)).toBeNull()
    },
  )

  it('may be of a leap day', () => {
    expect(momentOf('2028-02-29')).toBe(Date.UTC(2028, 1, 29))
  })
})

it('what is unknown is shown as that', () => {
  expect([age(null), age(Number.NaN), age(Infinity), ago(null), ago('no time'), when(null)]).toEqual(Array(6).fill('-'))
})
