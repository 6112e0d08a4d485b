import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rabbitmqStore } from '../../src/entry/rabbitmq.js'
import { memoryStore } from '../../src/entry/testing.js'
import {
  positionOf,
  type Recorded,
  recordOf,
  referencesOf,
  shownFor,
  storedFor,
} from '../../src/rabbitmq/store/offset-record.js'
import { silentLog } from '../support/silent-log.js'

const great = 1n << 63n
const numbers: fc.Arbitrary<Recorded> = fc.record({
  position: fc.bigInt({ min: 0n, max: great - 1n }),
  epoch: fc.nat({ max: 2 ** 40 - 1 }),
  replay: fc.nat({ max: 2 ** 23 - 1 }),
  at: fc.nat({ max: 2 ** 48 }),
})
const any64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const shownBefore = fc.option(fc.bigInt({ min: 0n, max: great - 1n }), { nil: null })

/** What a stream's tracking has after this was stored on top of what it had. */
function tracked(stored: readonly (readonly [string, bigint])[], shown: bigint | null): (bigint | null)[] {
  const values = new Map(stored)
  return referencesOf('g').map((reference, index) => values.get(reference) ?? (index === 0 ? shown : null))
}

test('what is stored is read back, whatever tools saw before', () => {
  fc.assert(
    fc.property(numbers, shownBefore, (record, shown) => {
      const found = recordOf(tracked(storedFor('g', record, shown), shown))
      expect(found.record).toEqual(record)
      expect(found.shown).toBe(shownFor(record.position, shown))
      expect(positionOf(found)).toBe(record.position)
    }),
  )
})

test("Tidemark's own numbers are greater than any offset, so that the broker keeps them", () => {
  fc.assert(
    fc.property(numbers, (record) => {
      const [forTools] = referencesOf('g')
      for (const [reference, value] of storedFor('g', record, null)) {
        if (reference !== forTools) expect(value).toBeGreaterThanOrEqual(great)
        expect(value).toBeLessThan(1n << 64n)
      }
    }),
  )
})

test("other clients' numbers are not taken for Tidemark's", () => {
  const lower = any64.filter((value) => value < great)
  fc.assert(
    fc.property(shownBefore, lower, any64, (shown, position, owner) => {
      expect(recordOf([shown, position, owner, null])).toEqual({ shown, record: null })
    }),
  )
})

test('tools see the last processed offset: 0 after the first message, and 0 again where a group went back before it', () => {
  const at = { epoch: 1, replay: 0, at: 5 }
  const shows = (position: bigint, shown: bigint | null) => new Map(storedFor('g', { ...at, position }, shown)).get('g')
  expect(shows(1n, null)).toBe(0n)
  expect(shows(43n, 7n)).toBe(42n)
  expect(shows(0n, null)).toBeUndefined()
  expect(shows(0n, 42n)).toBe(0n)
})

test('a position is found by what tools see, where another client has stored it or retention has dropped it', () => {
  const record = { position: 10n, epoch: 1, replay: 0, at: 5 }
  expect(positionOf({ shown: 41n, record: null })).toBe(42n)
  expect(positionOf({ shown: 41n, record })).toBe(42n)
  expect(positionOf({ shown: null, record })).toBe(10n)
  expect(positionOf({ shown: 0n, record: { ...record, position: 0n } })).toBe(0n)
  expect(positionOf({ shown: null, record: null })).toBeNull()
})

test.each([
  ['position', { position: great }],
  ['epoch', { epoch: 2 ** 40 }],
  ['replay', { replay: 2 ** 23 }],
])('a %s that does not fit is refused', (what, change) => {
  const record = { position: 1n, epoch: 1, replay: 0, at: 5, ...change }
  expect(() => storedFor('g', record, null)).toThrow(`${what} `)
})

test('a name has room in every reference, or is refused with the room there is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }), (group) => {
      fc.pre(!group.startsWith('tidemark.'))
      if (Buffer.byteLength(group) > 237) expect(() => referencesOf(group)).toThrow('room for 237')
      else {
        const references = referencesOf(group)
        expect(new Set(references).size).toBe(4)
        for (const reference of references) expect(Buffer.byteLength(reference)).toBeLessThanOrEqual(255)
      }
    }),
  )
  expect(() => referencesOf('tidemark.owner.billing')).toThrow("Tidemark's own")
})

test.each([
  [{ host: 'a' }, 'rabbitmqStore().database: must be a database'],
  [{ stream: 'orders', database: memoryStore().database }, "unknown option 'stream'"],
  [{ brokers: ['a:9092'], database: memoryStore().database }, "rabbitmqStore(): unknown option 'brokers'"],
  [{ url: 'amqp://me:hunter2@a', database: memoryStore().database }, "rabbitmqStore(): 'url' must be like"],
])('store options %# are refused', (options, words) => {
  expect(() => rabbitmqStore(options as never)).toThrow(words)
})

test('a database in memory notes partitions as a real one does', async () => {
  const context = { log: silentLog(), signal: new AbortController().signal }
  const { partitions } = await memoryStore().database.connect(context)
  const noted = { group: 'g', stream: 's', partition: 1, position: 5n, epoch: 1, replay: 0, identity: 'one' }
  await partitions.note(noted)
  await partitions.note({ ...noted, position: 2n, epoch: 2, replay: 1, identity: null })
  await partitions.note({ ...noted, group: 'other' })
  expect(await partitions.list({ group: 'g' })).toEqual([{ ...noted, position: 2n, epoch: 2, replay: 1 }])
})
