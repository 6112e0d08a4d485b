import type { LetterFilter } from '../../ports/index.js'
import { bytesOf } from '../../ports/text.js'
import { shownText } from '../../storing/shown-text.js'

/** Conditions on rows of `dead_letters`, with the values of their parameters from $1 on. */
export interface LetterCondition {
  readonly where: string
  readonly values: readonly unknown[]
}

/** Letters that a filter means. */
export function matchingLetters(filter: LetterFilter): LetterCondition {
  const { group, stream, partitions, ids, offsets, key, class: kind, code, olderThanMs, askedBy, states } = filter
  const values: unknown[] = []
  const value = (one: unknown) => `$${values.push(one)}`
  const is = (column: string, text: string | undefined) =>
    text === undefined ? [] : [`${column} = ${value(shownText(text))}`]
  const conditions = [
    ...is('"group"', group),
    ...is('stream', stream),
    ...(partitions ? [`partition = any (${value(partitions)}::int[])`] : []),
    ...(ids ? [`id = any (${value(ids.map(idOf))}::bigint[])`] : []),
    ...(offsets ? [`"offset" = any (${value(offsets.map(String))}::bigint[])`] : []),
    ...(key === undefined ? [] : [`key = ${value(bytesOf(key))}::bytea`]),
    ...is('class', kind),
    ...is('code', code),
    ...is('asked_by', askedBy),
    ...(olderThanMs === undefined ? [] : [`at <= now() - ${value(olderThanMs)}::float8 * interval '1 ms'`]),
    states ? `state = any (${value(states)}::text[])` : 'done_at is null',
  ]
  return { where: conditions.map((one) => `(${one})`).join(' and '), values }
}

/** A letter's id as the database takes it. What is none means no letter. */
export function idOf(id: string): string {
  return /^\d{1,18}$/.test(id) ? id : '-1'
}
