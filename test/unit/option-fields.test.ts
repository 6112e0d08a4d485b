import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isTidemarkError } from '../../src/model/errors.js'
import { checked } from '../../src/options/checked.js'
import { count, duration, flag, oneOf, serverTime, size } from '../../src/options/fields.js'

const day = 24 * 3_600_000
const schema = z.strictObject({
  wait: duration('1s', 10, { leastNumber: 50 }),
  asked: serverTime('3s', 10),
  kept: duration('7d', 1_000, { most: Number.POSITIVE_INFINITY }),
  memory: size('1MB', 1024),
  many: count(3, 100),
  word: oneOf(['afterBatch', 'never']).optional(),
  nested: z.union([z.literal('off'), z.strictObject({ field: flag })]).optional(),
  list: z.array(z.string('must be text')).optional(),
})
const parse = (options: unknown) => checked('part()', schema, options)

function problem(options: unknown): string {
  try {
    parse(options)
    return ''
  } catch (error) {
    if (!isTidemarkError(error) || error.code !== 'CONFIG_INVALID') throw error
    return error.message
  }
}

describe('an option', () => {
  it('that is left out has its default', () => {
    expect(parse({})).toEqual({ wait: 1_000, asked: 3_000, kept: 7 * day, memory: 1024 ** 2, many: 3 })
  })

  it.each([
    ['24d', 24 * day],
    [24 * day, 24 * day],
    ['10ms', 10],
    [50, 50],
  ])('that is a duration of %o is taken as ms', (wait, ms) => expect(parse({ wait }).wait).toBe(ms))

  // setTimeout(() => ..., 2 ** 31) fires at once.
  it.each(['25d', '24.1d', 24 * day + 1, 2 ** 31])('that goes into a timer may not be %o', (wait) => {
    expect(problem({ wait })).toMatch(/^part\(\)\.wait: '?[\dd.]+'? is too long: must be at most 24d$/)
  })

  it('that a client multiplies before it goes into a timer may be a day', () => {
    expect(parse({ asked: '1d' }).asked).toBe(day)
    expect(problem({ asked: '25h' })).toBe("part().asked: '25h' is too long: must be at most 1d")
  })

  it('that goes into no timer may be longer', () => expect(parse({ kept: '90d' }).kept).toBe(90 * day))

  it.each([
    [{ wait: '9ms' }, "part().wait: '9ms' is too short: must be at least 10ms"],
    [{ kept: 999 }, "part().kept: 999 is too short: must be at least 1s; did you mean '999s'?"],
    [{ memory: '1023B' }, "part().memory: '1023B' is too small: must be at least 1KB"],
    [{ memory: 'lots' }, "part().memory: 'lots' is not a size; use '512KB', '8MB', '1GB' or a number of bytes"],
    [{ memory: '512m' }, "number of bytes; did you mean '512MB'?"],
    [{ memory: '32 MiB' }, "number of bytes; did you mean '32MB'?"],
    [{ memory: null }, "part().memory: must be a size like '8MB', or a number of bytes, not null"],
    [{ many: 0 }, 'part().many: must be at least 1, not 0'],
    [{ many: 1.5 }, 'part().many: must be a whole number, not 1.5'],
    [{ many: '3' }, "part().many: must be a whole number, not '3'"],
    [{ many: 2 ** 60 }, 'part().many: must be a whole number, not 1152921504606847000'],
    [{ many: 101 }, 'part().many: must be at most 100, not 101'],
    [{ list: ['a', 1] }, 'part().list[1]: must be text'],
    [{ wiat: 1 }, "part(): unknown option 'wiat'; did you mean 'wait'?"],
    [{ colour: 1 }, "part(): unknown option 'colour'; there are wait, asked, kept, memory, many, word, nested, list"],
    [{ nested: { field: true, fild: true } }, "part().nested: unknown option 'fild'; did you mean 'field'?"],
    [{ nested: { field: 1 } }, 'part().nested.field: must be true or false, not 1'],
    [
      { word: 'afterbatch' },
      "part().word: must be 'afterBatch' or 'never', not 'afterbatch'; did you mean 'afterBatch'?",
    ],
    [{ word: 'x'.repeat(100) }, `part().word: must be 'afterBatch' or 'never', not '${'x'.repeat(60)}…'`],
    [{ wait: 15 }, "part().wait: 15 is 15 milliseconds; did you mean '15s'? For 15 milliseconds, write '15ms'"],
    [{ wait: '30 Seconds' }, "number of milliseconds; did you mean '30s'?"],
    [{ memory: 2 ** 60 }, 'part().memory: 1152921504606847000 is too large: must be at most 1024GB'],
  ])('that is wrong in %o is named, with what is allowed', (options, said) => {
    const text = problem(options)
    expect(said.startsWith('part()') ? text : text.slice(-said.length)).toBe(said)
  })

  it('has a line for each problem', () => {
    expect(problem({ many: 0, wait: 'soon' }).split('\n')).toEqual([
      "part().wait: 'soon' is not a duration; use '250ms', '30s', '5m', '2h', '7d' or a number of milliseconds",
      'part().many: must be at least 1, not 0',
    ])
  })

  it('is missed where there are no options at all', () =>
    expect(problem(undefined)).toBe('part().options: must be an object with options'))
})
