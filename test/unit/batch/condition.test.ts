import { describe, expect, it } from 'vitest'
import { type Condition, type ConditionEvent, conditionAfter, isWorkable } from '../../../src/model/condition.js'

const conditions: readonly Condition[] = ['healthy', 'retrying', 'blocked', 'fenced', 'finished']

/** The condition after each event, in the order of `conditions`; a dot where nothing changes. */
const table: Readonly<Record<ConditionEvent, string>> = {
  troubled: 'retrying retrying . . .',
  recovered: '. healthy . . .',
  blocked: 'blocked blocked . . .',
  fenced: 'fenced fenced fenced . .',
  finished: 'finished finished . . .',
  started: '. . healthy . .',
  configured: '. healthy healthy . healthy',
  resumed: '. . healthy healthy .',
  reopened: '. healthy healthy healthy healthy',
}

const cases = Object.entries(table).flatMap(([event, row]) =>
  row.split(' ').map((cell, index) => {
    const before = conditions[index]!
    return { event: event as ConditionEvent, before, after: cell === '.' ? before : cell }
  }),
)

describe("a partition's condition", () => {
  it.each(cases)('$before, then $event: $after', ({ event, before, after }) => {
    expect(conditionAfter(before, event)).toBe(after)
  })

  it.each([
    ['healthy', true],
    ['retrying', true],
    ['blocked', false],
    ['fenced', false],
    ['finished', false],
  ] as const)('%s: can be worked is %s', (condition, workable) => {
    expect(isWorkable(condition)).toBe(workable)
  })
})
