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

it('takes texts that only look like that in JSON', () => {
  const value = { note: '\\u0000 \\ud800 \\\\u0000', pair: '\u{1f600}', line: '\u2028\u0001' }
  expect(JSON.parse(partsOf([{ value, headers: { a: '\\u0000' } }])[0]![0]![2])).toEqual(value)
})

it('cuts events into statements', () => {
  const parts = partsOf(Array.from({ length: 5_001 }, (_, value) => ({ key: 'é', value })))
  expect(parts.map(({ length }) => length)).toEqual([5_000, 1])
  expect(parts[1]).toEqual([['=é', '', '5000', '']])
})
