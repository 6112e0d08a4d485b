import type { DeadLetter, DeadLetterList, WholeDeadLetter } from '../../client/letters/letter.js'
import { age, ago, counted } from '../format.js'
import { noticesOf, shownText } from '../show.js'
import { table } from '../table.js'
import { harmless, oneLine, painter, shorten } from '../terminal.js'

const widestKey = 20

/** Exported for its test. */
export function listText(
  list: DeadLetterList,
  width?: { readonly width: number | undefined },
  now = Date.now(),
): string {
  const { letters, keys, partitions, behind, shown } = list
  if (letters === 0) return 'nothing is set aside\n'
  const byGroup = new Map<string, DeadLetter[]>()
  for (const letter of shown) {
    const name = `${letter.group} on ${letter.stream}`
    byGroup.set(name, [...(byGroup.get(name) ?? []), letter])
  }
  const tables = [...byGroup].map(([name, theirs]) => {
    const rows = theirs.map((letter) => [
      letter.id,
      letter.partition,
      letter.offset,
      shorten(keyText(letter), widestKey),
      letter.class,
      letter.tries,
      ago(letter.at, now),
      reasonOf(letter, now),
    ])
    const header = ['ID', 'PARTITION', 'OFFSET', 'KEY', 'CLASS', 'TRIES', 'AGE', 'WHY']
    return `${painter()(name, 'bold')}\n${table(header, rows, width)}`
  })
  const sums = [
    counted(keys, 'key'),
    counted(partitions, 'partition'),
    ...(behind > 0 ? [`${behind} behind others`] : []),
  ]
  const rest = letters - shown.length
  return [
    ...tables,
    `${counted(letters, 'letter')} (${sums.join(', ')})${rest > 0 ? `; the first ${shown.length} are shown: --limit shows more` : ''}\n`,
  ].join('\n')
}

function keyText({ key, reference }: DeadLetter): string {
  if (key) return oneLine(shownText(key))
  return reference ? '?' : '-'
}

/** What a letter waits for, or what became of it, and why it is there. */
function reasonOf({ state, dueAt, by, reason, class: kind, error, code, corrected }: DeadLetter, now: number): string {
  const asked = by === null ? '' : ` by ${by}${reason ? ` (${reason})` : ''}`
  const states: Record<DeadLetter['state'], string> = {
    waiting:
      dueAt === null
        ? ''
        : Date.parse(dueAt) <= now
          ? 'comes back now'
          : `comes back in ${age(Date.parse(dueAt) - now)}`,
    due: asked === '' ? 'is to be handled' : `redrive asked for${asked}`,
    leaving: `discard asked for${asked}`,
    redriven: `redriven${asked}`,
    discarded: `discarded${asked}`,
    skipped: 'skipped',
  }
  const failure = kind === 'behind' ? 'behind another message of its key' : error || code || ''
  const parts = [states[state], corrected ? 'corrected' : '', failure].filter((part) => part !== '')
  return harmless(parts.join('; '))
}

/** Exported for its test. */
export function letterText(letter: WholeDeadLetter, now = Date.now()): string {
  const paint = painter()
  const { id, group, stream, partition, offset, key, headers, valueBytes, value, reference, error } = letter
  const isDone = ['redriven', 'discarded', 'skipped'].includes(letter.state)
  const gone = isDone ? 'gone, since the letter is done with' : reference ? 'in the log alone' : null
  const fields = [
    ['group', group],
    ['state', letter.state],
    ['class', letter.class],
    ...(letter.code === null ? [] : [['code', letter.code]]),
    ['tries', `${letter.tries}${letter.returns > 0 ? `, and it came back ${counted(letter.returns, 'time')}` : ''}`],
    ...(letter.firstAt === null ? [] : [['failed', [...new Set([letter.firstAt, letter.lastAt])].join(', last ')]]),
    ['set aside', `${letter.at}, ${ago(letter.at, now)} ago`],
    ...(letter.dueAt === null ? [] : [['comes back', letter.dueAt]]),
    ...(letter.by === null ? [] : [['asked by', `${letter.by}${letter.reason ? `: ${letter.reason}` : ''}`]]),
    ['timestamp', letter.timestamp ?? 'unknown'],
    [
      'key',
      key === null
        ? (gone ?? 'none')
        : oneLine(shownText(key)) +
          noticesOf(key)
            .map((one) => ` ${one}`)
            .join(''),
    ],
    [
      'value',
      gone ??
        (valueBytes === null ? 'none (a tombstone)' : counted(valueBytes, 'byte')) +
          (letter.corrected ? ', corrected' : ''),
    ],
    ['headers', headers.length === 0 ? (gone ?? 'none') : ''],
  ] as [string, string][]
  const widest = Math.max(...fields.map(([name]) => name.length))
  return [
    paint(`dead letter ${id}: ${stream}[${partition}] offset ${offset}`, 'bold'),
    ...fields.map(([name, text]) => `${paint(name.padEnd(widest), 'dim')}  ${oneLine(harmless(text))}`.trimEnd()),
    ...headers.map(({ name, bytes, value: content }) => {
      const text =
        content === undefined ? counted(bytes, 'byte') : content === null ? 'null' : oneLine(shownText(content))
      return `  ${oneLine(harmless(name))}: ${text}`
    }),
    ...(error === '' ? [] : ['', harmless(error)]),
    ...(value ? ['', shownText(value).trimEnd(), ...noticesOf(value)] : []),
    '',
  ].join('\n')
}
