import { expect, it } from 'vitest'
import { moveOf } from '../../src/client/plan.js'
import { parseTarget } from '../../src/client/target.js'
import { partitionsNamed, ranges } from '../../src/model/partition.js'

const now = Date.parse('2026-07-01T12:00:00Z')

it.each([
  ['first', 'first'],
  ['1400', { offset: 1400n }],
  ['+20', { by: 20n }],
  ['-20', { by: -20n }],
  ['2026-07-01T08:00:00Z', { timestamp: Date.parse('2026-07-01T08:00:00Z') }],
  ['2026-07-01T08:00+02:00', { timestamp: Date.parse('2026-07-01T06:00:00Z') }],
  ['2026-07-01 08:00:00.5Z', { timestamp: Date.parse('2026-07-01T08:00:00.500Z') }],
  ['2026-06-30', { timestamp: Date.parse('2026-06-30T00:00:00Z') }],
  ['2026-06-30T08:00', { timestamp: Date.parse('2026-06-30T08:00:00Z') }],
  ['-1h', { timestamp: Date.parse('2026-07-01T11:00:00Z') }],
  ['-1.5d', { timestamp: Date.parse('2026-06-30T00:00:00Z') }],
  ['PT1H', { timestamp: Date.parse('2026-07-01T11:00:00Z') }],
  ['-P1DT2H30M', { timestamp: Date.parse('2026-06-30T09:30:00Z') }],
  ['P1W', { timestamp: Date.parse('2026-06-24T12:00:00Z') }],
])('reads %s as a position', (text, target) => {
  expect(parseTarget(text, now)).toEqual(target)
})

it.each([
  '',
  'begin',
  '5oo',
  '1.5',
  '--3',
  '2026-13-01',
  '2026-02-30',
  '2026-02-29T08:00Z',
  '2026-07-01T08',
  'yesterday',
  '1e3',
  '1h',
  '+1h',
  '-1y',
  'P',
  'PT',
  'P1Y',
  'P1DT',
])("refuses '%s', naming what there is", (text) => {
  expect(() => parseTarget(text, now)).toThrow(`'${text}' is no position: use first, last, next, an offset (1400)`)
})

it.each([
  ['earliest', 'first'],
  ['latest', 'next'],
])("takes '%s' of other clients for a misspelled '%s'", (text, meant) => {
  expect(() => parseTarget(text, now)).toThrow(`did you mean '${meant}'?`)
})

it('refuses a time before 1970, which logs have other meanings for', () => {
  expect(() => parseTarget('1969-12-31T23:59:59.999Z', now)).toThrow('lies before 1970: say first')
})

it('refuses a time that is still to come: all there is would be skipped', () => {
  expect(() => parseTarget('2027-07-01', now)).toThrow(
    '2027-07-01 is still to come (2027-07-01T00:00:00.000Z): for messages from now on, say next',
  )
})

const place = { stream: 'orders', partition: 3, first: 100n, head: 1000n }

it.each([
  { from: 500n, to: 200n, again: 300n, skipped: 0n },
  { from: 500n, to: 900n, again: 0n, skipped: 400n },
  { from: 500n, to: 500n, again: 0n, skipped: 0n },
  // What the log has lost is neither handled again nor skipped.
  { from: 500n, to: 0n, again: 400n, skipped: 0n },
  { from: 20n, to: 300n, again: 0n, skipped: 200n },
  { from: 20n, to: 100n, again: 0n, skipped: 0n },
  // Of a log that was longer once.
  { from: 5000n, to: 400n, again: 600n, skipped: 0n },
  { from: null, to: 400n, again: 0n, skipped: 0n },
])('counts a move from $from to $to', ({ from, to, again, skipped }) => {
  expect(moveOf({ ...place, from }, to)).toEqual({ partition: 3, from, to, again, skipped, remark: '' })
})

it('names partitions in few words', () => {
  expect(ranges([0, 1, 2, 3])).toBe('0 to 3')
  expect(ranges([3, 0, 1, 7, 8, 9, 1])).toBe('0, 1, 3, 7 to 9')
  expect(ranges([])).toBe('none')
  expect([partitionsNamed([3]), partitionsNamed([3, 4], 'Partition')]).toEqual(['partition 3', 'Partitions 3, 4'])
})
