import { expect, it } from 'vitest'
import { age, ago, when } from '../../src/cli/format.js'
import { dateOf, namesRealDay } from '../../src/model/times.js'

it.each([-1, 0, Number.NaN, Infinity, -Infinity, 9e15])('%d ms since 1970 are no time', (ms) => {
  expect(dateOf(ms)).toBeNull()
})

it('a time is a date', () => {
  const time = new Date('2026-07-01T08:00:00Z')
  expect(dateOf(time.getTime())).toEqual(time)
})

it.each(['2026-02-30', '2026-02-29T08:00', '2026-04-31 10:00:00Z', '2026-13-01', '2026-00-10', '2026-01-00'])(
  '%s is in no calendar',
  (text) => {
    expect(namesRealDay(text)).toBe(false)
  },
)

it.each(['2028-02-29', '2026-12-31T23:59:59Z', '1 July 2026'])('%s is left to others', (text) => {
  expect(namesRealDay(text)).toBe(true)
})

it('what is unknown is shown as that', () => {
  expect([age(null), age(Number.NaN), age(Infinity), ago(null), ago('no time'), when(null)]).toEqual(Array(6).fill('-'))
})
