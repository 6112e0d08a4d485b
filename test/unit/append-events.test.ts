import { expect, it } from 'vitest'
import { partsOf } from '../../src/postgres/output/insert-events.js'

it.each([
  ['a key', { key: '\udc80', value: 1 }, 'appendEvents.events.1.key: '],
  ['a type', { type: 'a\ud800', value: 1 }, 'appendEvents.events.1.type: '],
  ['a value', { value: undefined }, 'appendEvents.events.1.value: '],
])('refuses %s that can not be written as it is, and names the event', (_, event, message) => {
  expect(() => partsOf([{ value: 0 }, event])).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
  )
})

it('cuts events into statements', () => {
  const parts = partsOf(Array.from({ length: 5_001 }, (_, value) => ({ key: 'é', value })))
  expect(parts.map(({ length }) => length)).toEqual([5_000, 1])
  expect(parts[1]).toEqual([['=é', '', '5000', '']])
})
