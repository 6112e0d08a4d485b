import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isTidemarkError } from '../../src/model/errors.js'
import { checked } from '../../src/options/checked.js'
import { count, duration, serverTime, size } from '../../src/options/fields.js'

const day = 24 * 3_600_000
const schema = z.strictObject({
  wait: duration('1s', 10),
  asked: serverTime('3s', 10),
  kept: duration('7d', 1_000, Number.POSITIVE_INFINITY),
  memory: size('1MB', 1024),
  many: count(3),
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
    [10, 10],
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
    [{ kept: 999 }, 'part().kept: 999 is too short: must be at least 1s'],
    [{ memory: '1023B' }, "part().memory: '1023B' is too small: must be at least 1KB"],
    [{ memory: 'lots' }, "part().memory: 'lots' is not a size; use '512KB', '8MB', '1GB' or a number of bytes"],
    [{ memory: null }, "part().memory: must be a size like '8MB', or a number of bytes"],
    [{ many: 0 }, 'part().many: must be at least 1'],
    [{ many: 1.5 }, 'part().many: must be a whole number'],
    [{ many: '3' }, 'part().many: must be a whole number'],
    [{ list: ['a', 1] }, 'part().list[1]: must be text'],
    [{ wiat: 1 }, "part(): unknown option 'wiat'; check its spelling"],
  ])('that is wrong in %o is named, with what is allowed', (options, said) => expect(problem(options)).toBe(said))

  it('has a line for each problem', () => {
    expect(problem({ many: 0, wait: 'soon' }).split('\n')).toEqual([
      "part().wait: 'soon' is not a duration; use '250ms', '30s', '5m', '2h', '7d' or a number of milliseconds",
      'part().many: must be at least 1',
    ])
  })

  it('is missed where there are no options at all', () => expect(problem(undefined)).toContain('part().options: '))
})
