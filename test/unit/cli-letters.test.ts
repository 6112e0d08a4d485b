import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import { planText, progressText } from '../../src/cli/letters/change.js'
import { durationOf, letterId, rateOf, requireSelection, selectionOf } from '../../src/cli/letters/options.js'
import { letterText, listText } from '../../src/cli/letters/shown.js'
import { setAside } from '../../src/cli/status.js'
import type { DeadLetter, WholeDeadLetter } from '../../src/client/letters/letter.js'
import type { PartitionLine } from '../../src/client/partition-line.js'

const now = Date.parse('2026-07-01T08:00:00Z')
const letter: DeadLetter = {
  ...{ group: 'billing', stream: 'orders', partition: 3, offset: '120', replay: 0, id: '42' },
  key: { encoding: 'text', text: 'customer-7', bytes: 10, shownBytes: 10 },
  ...{ state: 'waiting', class: 'poison', code: 'RangeError', error: 'RangeError: no rate for orders of last year' },
  ...{ tries: 5, firstAt: '2026-07-01T05:00:00.000Z', lastAt: '2026-07-01T05:10:00.000Z' },
  ...{ at: '2026-07-01T05:10:00.000Z', dueAt: null, returns: 0, by: null, reason: null },
  ...{ corrected: false, reference: false, bytes: 40 },
}
const sum = { letters: 1, keys: 1, partitions: 1, behind: 0 }
/** What a letter's row says of it, without the columns before it. */
const why = (change: Partial<DeadLetter>) =>
  listText({ ...sum, shown: [{ ...letter, ...change }] }, { width: undefined }, now)
    .split('\n')[2]!
    .split(/ {2}/)
    .at(-1)

describe('a list of dead letters', () => {
  it('fits into 80 columns, with the reasons below the rows', () => {
    const behind: Partial<DeadLetter> = { id: '43', offset: '121', class: 'behind', code: null, error: '', tries: 0 }
    const text = listText(
      { ...sum, letters: 2, behind: 1, shown: [letter, { ...letter, ...behind }] },
      { width: 80 },
      now,
    )
    expect(text.split('\n')).toEqual([
      'billing on orders',
      'ID  PARTITION  OFFSET  KEY         CLASS   TRIES  AGE    WHY',
      '42          3     120  customer-7  poison      5  2h50m',
      '    RangeError: no rate for orders of last year',
      '43          3     121  customer-7  behind      0  2h50m',
      '    behind another message of its key',
      '',
      '2 letters (1 key, 1 partition, 1 behind others)',
      '',
    ])
  })

  it('says how many are not shown', () => {
    expect(listText({ ...sum, letters: 340, shown: [letter] })).toContain(
      '340 letters (1 key, 1 partition); the first 1 are shown: --limit',
    )
    expect(listText({ ...sum, letters: 0, shown: [] })).toBe('nothing is set aside\n')
  })

  it('says what a letter waits for, or what became of it', () => {
    const error = letter.error
    expect([
      why({ dueAt: '2026-07-01T08:08:00.000Z', class: 'later' }),
      why({ state: 'due', by: 'ann@desk', reason: 'mended' }),
      why({ state: 'leaving', by: 'ann@desk', reason: '', corrected: true }),
      why({ state: 'redriven', by: 'ann@desk', reason: '', error: 'a\x1b[2Jb' }),
    ]).toEqual([
      `comes back in 8m; ${error}`,
      `redrive asked for by ann@desk (mended); ${error}`,
      `discard asked for by ann@desk; corrected; ${error}`,
      'redriven by ann@desk; a\\x1b[2Jb',
    ])
  })

  it('shortens long keys, and keeps what is no key apart', () => {
    const keyOf = (change: Partial<DeadLetter>) =>
      listText({ ...sum, shown: [{ ...letter, ...change }] }, { width: undefined }, now)
        .split('\n')[2]!
        .split(/ {2,}/)[3]
    const long = { encoding: 'text', text: 'k'.repeat(99), bytes: 99, shownBytes: 99 } as const
    expect([keyOf({ key: long }), keyOf({ key: null }), keyOf({ key: null, reference: true })]).toEqual([
      `${'k'.repeat(19)}…`,
      '-',
      '?',
    ])
  })
})

describe('one dead letter', () => {
  const whole: WholeDeadLetter = {
    ...letter,
    timestamp: '2026-07-01T04:59:00.000Z',
    headers: [{ name: 'trace', bytes: 5 }],
    valueBytes: 30,
  }

  it('is shown with all that is known of it, and its value only where that was asked for', () => {
    const value = { encoding: 'json', text: '{"n":1}', bytes: 7, shownBytes: 7 } as const
    const text = letterText({ ...whole, by: 'ann@desk', reason: 'see #212', returns: 2 }, now)
    expect(text).toContain('dead letter 42: orders[3] offset 120\n')
    expect(text).toMatch(/tries +5, and it came back 2 times\n/)
    expect(text).toMatch(/failed +2026-07-01T05:00:00.000Z, last 2026-07-01T05:10:00.000Z\n/)
    expect(text).toMatch(/asked by +ann@desk: see #212\n/)
    expect(text).toMatch(
      /value +30 bytes\nheaders\n {2}trace: 5 bytes\n\nRangeError: no rate for orders of last year\n$/,
    )
    expect(letterText({ ...whole, value }, now)).toMatch(/last year\n\n\{"n":1\}\n$/)
  })

  it('that is done with, or a reference, says where its content is', () => {
    const gone = { key: null, headers: [], valueBytes: null }
    expect(letterText({ ...whole, ...gone, state: 'redriven' }, now)).toMatch(
      /value +gone, since the letter is done with\n/,
    )
    expect(letterText({ ...whole, ...gone, reference: true }, now)).toMatch(/value +in the log alone\n/)
    expect(letterText({ ...whole, ...gone }, now)).toMatch(/key +none\nvalue +none \(a tombstone\)\n/)
  })
})

describe('what is asked for dead letters', () => {
  it.each([
    ['100/s', 100],
    ['30/m', 0.5],
    ['360/h', 0.1],
    ['7', 7],
  ])('%s is a rate of %d a second', (text, perSecond) => {
    expect(rateOf(text)).toBe(perSecond)
  })

  it.each(['', '0/s', '-1/s', '5/d', 'fast'])('%j is no rate', (text) => {
    expect(() => rateOf(text)).toThrow(InvalidArgumentError)
  })

  it('takes numbers of letters, and lengths of time', () => {
    expect(letterId('43', ['42'])).toEqual(['42', '43'])
    for (const wrong of ['x', '-1', '1.5', '']) expect(() => letterId(wrong)).toThrow(InvalidArgumentError)
    expect(durationOf('1d')).toBe(86_400_000)
    expect(() => durationOf('1 week')).toThrow(InvalidArgumentError)
  })

  it('names everything only where that is said', () => {
    const named = selectionOf({ group: 'billing', partition: [3], olderThan: 1000, class: 'later' }, ['1', '1'])
    expect(named).toEqual({ group: 'billing', partitions: [3], olderThan: 1000, class: 'later', ids: ['1'] })
    expect(() => requireSelection('redrive', {}, false)).toThrow(/^redrive: say which dead letters: .* or --all/)
    expect(() => requireSelection('redrive', { ids: ['1'] }, true)).toThrow(/not both/)
    requireSelection('redrive', {}, true)
    requireSelection('redrive', { key: '' }, false)
  })

  it('says what is meant, group by group', () => {
    const group = { group: 'billing', stream: 'orders', owners: [2, 0, 1], failedBefore: 0, waits: [] }
    const groups = [{ ...group, letters: 12, keys: 3, partitions: 3, behind: 9 }]
    const asked = 'to be redriven'
    expect(planText({ ...sum, letters: 12, dryRun: true, groups }, { asked })).toBe(
      'billing on orders: 12 letters to be redriven (3 keys, partitions 0 to 2, 9 behind others)\n',
    )
    expect(planText({ ...sum, letters: 0, dryRun: true, groups: [] }, { asked })).toBe('no dead letters are meant\n')
  })

  it('says how far it is', () => {
    const at = { letters: 340, done: 12, again: 0, left: 328, failure: null }
    expect(progressText(at)).toBe('12 of 340 done, 328 to go')
    const failure = 'orders[3] offset 120: no rate\n at all'
    expect(progressText({ ...at, again: 2, left: 0, failure })).toBe(
      '12 of 340 done, 2 wait again; last failed orders[3] offset 120: no rate at all',
    )
  })
})

describe('status', () => {
  const line = (partition: number, letters: PartitionLine['letters']) => ({ partition, letters }) as PartitionLine
  const said = (...partitions: PartitionLine[]) => setAside({ group: 'billing', stream: 'orders', partitions })

  it('counts what is set aside in a line, and says how to see it', () => {
    expect(
      said(line(0, { messages: 10, keys: 2 }), line(1, { messages: 0, keys: 0 }), line(2, { messages: 2, keys: 1 })),
    ).toBe(
      '12 messages set aside (3 keys) in partitions 0, 2: tidemark dead-letters list --group billing --stream orders\n',
    )
  })

  it('says nothing where nothing is, or nothing is known', () => {
    expect(said(line(0, { messages: 0, keys: 0 }), line(1, null))).toBe('')
  })
})
