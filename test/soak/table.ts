import type { Figure } from './judgement.js'
import type { SoakReport } from './soak.js'

/** A soak's report, for people. */
export function tableOf({ figures, deeds, written, handled, faults }: SoakReport): string {
  const rows = [
    ['', 'before', 'after', 'growth', 'allowed', 'most', ''],
    ...figures.map((figure) => {
      const { before, after, allowed, most } = figure
      const values = [before, after, after - before, allowed, most].map((value) => shown(value, figure.unit))
      return [figure.name, ...values, figure.isFlat ? '' : 'GROWS']
    }),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
  const list = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  return [
    ...lines,
    `written: ${list(written)}`,
    `handled: ${list(handled)}`,
    `done meanwhile: ${list(deeds.done)}`,
    ...(faults.length === 0 ? ['flat'] : faults.map((fault) => `fault: ${fault}`)),
  ].join('\n')
}

function shown(value: number, unit: Figure['unit']): string {
  return unit === 'bytes' ? `${(value / 2 ** 20).toFixed(1)} MB` : String(Math.round(value * 10) / 10)
}
