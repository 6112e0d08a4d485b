import { expect, it } from 'vitest'
import { multirangeOf, numbersIn } from '../../src/postgres/store/number-ranges.js'

it.each([
  [[], '{}', '{}'],
  [[0], '{[0,0]}', '{[0,1)}'],
  [[0, 1, 2, 3], '{[0,3]}', '{[0,4)}'],
  [[0, 1, 3, 7, 8, 9], '{[0,1],[3,3],[7,9]}', '{[0,2),[3,4),[7,10)}'],
])('%j is written as %s and read from %s', (numbers, written, printed) => {
  expect(multirangeOf(numbers)).toBe(written)
  expect(numbersIn(printed)).toEqual(numbers)
})
