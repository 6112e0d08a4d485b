import { expect, it } from 'vitest'
import { age } from '../../src/cli/format.js'
import { Rates } from '../../src/cli/rates.js'
import { table } from '../../src/cli/table.js'
import { painter, wrapped } from '../../src/cli/terminal.js'

const header = ['PARTITION', 'STATE', 'LAG', 'WHY']
const rows = [
  [0, 'running', '12', ''],
  [
    11,
    'blocked',
    '-',
    'offset 2: the value (8 bytes) can not\n  be decoded as json, and so it goes on for quite a while',
  ],
]
const plain = painter({ isTTY: false })

it('puts numbers to the right, and lets the last column be as long as it likes where nobody looks at a window', () => {
  const lines = table(header, rows, { width: undefined, paint: plain }).split('\n')
  expect(lines.slice(0, 2)).toEqual(['PARTITION  STATE    LAG  WHY', '        0  running   12'])
  expect(lines[2]).toBe(
    '       11  blocked    -  offset 2: the value (8 bytes) can not be decoded as json, and so it goes on for quite a while',
  )
})

it('puts a last column that does not fit into the window below its row, wrapped and whole', () => {
  const lines = table(header, rows, { width: 50, paint: plain }).split('\n')
  expect(lines).toEqual([
    'PARTITION  STATE    LAG  WHY',
    '        0  running   12',
    '       11  blocked    -',
    '    offset 2: the value (8 bytes) can not be',
    '    decoded as json, and so it goes on for quite a',
    '    while',
    '',
  ])
})

it('leaves a last column that fits into the window in its row, to the last character', () => {
  const row = [['0', 'blocked', 'x'.repeat(22)]]
  const narrow = (width: number) => table(['PARTITION', 'STATE', 'WHY'], row, { width, paint: plain }).split('\n')
  expect(narrow(42)[1]).toBe(`        0  blocked  ${'x'.repeat(22)}`)
  expect(narrow(41).slice(1)).toEqual(['        0  blocked', `    ${'x'.repeat(22)}`, ''])
})

it('breaks a word that is longer than the window, and loses none of it', () => {
  const url = `https://example.com/${'a'.repeat(60)}`
  const lines = wrapped(`see ${url} now`, 30)
  expect(Math.max(...lines.map((line) => line.length))).toBe(30)
  expect(lines.join('').replaceAll(' ', '')).toBe(`see${url}now`)
})

it('colours cells without moving them, on a terminal only and not against NO_COLOR', () => {
  const colour = (column: string) => (column === 'STATE' ? ('red' as const) : undefined)
  const coloured = table(header, rows, { width: 80, paint: painter({ isTTY: true }, {}), colour })
  expect(coloured).toContain('\x1b[31mblocked\x1b[0m')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
  expect(coloured.replace(/\x1b\[\d+m/g, '')).toBe(table(header, rows, { width: 80, paint: plain }))
  for (const paint of [painter({ isTTY: true }, { NO_COLOR: '1' }), painter({ isTTY: false }, {})])
    expect(table(header, rows, { width: 80, paint, colour })).not.toContain('\x1b')
})

it.each([
  [null, '-'],
  [0, '0s'],
  [850, '850ms'],
  [42_400, '42s'],
  [192_000, '3m12s'],
  [3_600_000, '1h'],
  [19_200_000, '5h20m'],
  [1_051_200_000, '12d4h'],
])('shows %s ms as %s', (ms, shown) => {
  expect(age(ms)).toBe(shown)
})

it('tells how fast a group moves from its second look on, and takes a reset backwards for standing still', () => {
  const rates = new Rates()
  const at = (committed: (string | null)[]) => ({
    group: 'billing',
    stream: 'orders',
    partitions: committed.map((one, partition) => ({ partition, committed: one })),
  })
  expect(rates.of(at(['100', null]), 0)).toBeNull()
  expect(rates.of(at(['300', '50']), 2_000)).toBe('100')
  expect(rates.of(at(['301', '50']), 4_000)).toBe('0.5')
  expect(rates.of(at(['0', '50']), 6_000)).toBe('0')
})
