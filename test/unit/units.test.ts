import { expect, it } from 'vitest'
import { parseDuration, parseSize } from '../../src/model/units.js'

it.each([
  ['250ms', 250],
  ['30s', 30_000],
  ['1.5m', 90_000],
  ['2 h', 7_200_000],
  ['7d', 604_800_000],
  [42, 42],
  ['30', undefined],
  ['-1s', undefined],
  [-1, undefined],
  [Number.NaN, undefined],
])('duration %o is %o ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

it.each([
  ['512B', 512],
  ['8MB', 8 * 1024 ** 2],
  ['0.5GB', 512 * 1024 ** 2],
  [1024, 1024],
  ['8mb', undefined],
  ['', undefined],
])('size %o is %o bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes))
