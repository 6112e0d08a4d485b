import { expect, it } from 'vitest'
import { partsOf } from '../../src/postgres/output/insert-events.js'

it.each([
  ['a key', { key: '\udc80', value: 1 }, 'appendEvents.events.1.key: '],
  ['a type', { type: 'a\ud800', value: 1 }, 'appendEvents.events.1.type: '],
  ['a value', { value: undefined }, 'appendEvents.events.1.value: '],
  ['a key with U+0000', { key: 'a\0', value: 1 }, "appendEvents.events.1.key: Postgres can't hold U+0000"],
  ['a type with U+0000', { type: '\0', value: 1 }, "appendEvents.events.1.type: Postgres can't hold U+0000"],
  ['a value with U+0000', { value: { note: 'a\0b' } }, "appendEvents.events.1.value: Postgres can't hold U+0000"],
  ['a field with U+0000', { value: [{ '\\\0': 1 }] }, "appendEvents.events.1.value: Postgres can't hold U+0000"],
  ['a lone surrogate', { value: ['\ud800'] }, "appendEvents.events.1.value: Postgres can't hold a lone surrogate"],
  [
    'a header with U+0000',
    { value: 1, headers: { a: '\0' } },
    "appendEvents.events.1.headers: Postgres can't hold U+0000",
  ],
])('refuses %s that can not be written as it is, and names the event', (_, event, message) => {
  expect(() => partsOf([{ value: 0 }, event])).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
  )
})

it.each<[string, unknown, string]>([
  ['nothing', null, 'appendEvents.events.1: must be an event like { key, value }, not null'],
  ['a misspelled field', { key: 'a', valeu: 1 }, 'appendEvents.events.1.valeu: is no field of an event'],
  ['a number as key', { key: 5, value: 1 }, 'appendEvents.events.1.key: must be text, not a number'],
  ['a number as header', { value: 1, headers: { tries: 5 } }, 'appendEvents.events.1.headers.tries: must be text'],
  [
    'NaN',
    { value: { amount: Number.NaN } },
    'appendEvents.events.1.value: must be something that JSON can say: amount is NaN',
  ],
  ['a BigInt', { value: { id: 1n } }, 'appendEvents.events.1.value: must be something that JSON can say: '],
])('refuses %s, which would be another event than was meant', (_, event, message) => {
  expect(() => partsOf([{ value: 0 }, event as never])).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
  )
})

it('takes nulls, and refuses what is no list', () => {
  expect(partsOf([{ key: null, value: { left: null } }])).toEqual([[['', '', '{"left":null}', '']]])
  expect(() => partsOf('x' as never)).toThrow('appendEvents.events: must be a list of events')
})

it('takes texts that only look like that in JSON', () => {
  const value = { note: '\\u0000 \\ud800 \\\\u0000', pair: '\u{1f600}', line: '\u2028\u0001' }
  expect(JSON.parse(partsOf([{ value, headers: { a: '\\u0000' } }])[0]![0]![2])).toEqual(value)
})

it('cuts events into statements', () => {
  const parts = partsOf(Array.from({ length: 5_001 }, (_, value) => ({ key: 'é', value })))
  expect(parts.map(({ length }) => length)).toEqual([5_000, 1])
  expect(parts[1]).toEqual([['=é', '', '5000', '']])
})
