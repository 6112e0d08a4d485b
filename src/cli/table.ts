import { type Colour, oneLine, painter, shorten, widthOf } from './terminal.js'

type Cell = string | number

export interface TableOptions {
  /** Columns to fit into; undefined: as wide as it gets. */
  readonly width?: number | undefined
  /** The colour of a cell. */
  readonly colour?: (column: string, cell: string) => Colour | undefined
  readonly paint?: ReturnType<typeof painter>
}

/** Narrower than this, the last column says nothing any more. */
const least = 8

/**
 * Columns padded to their widest cell: numbers to the right, text to the left. The last column may be as long as it likes,
 * except on a terminal: there it is cut where the line ends.
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): string {
  const { colour, paint = painter() } = options
  const width = 'width' in options ? options.width : widthOf()
  const cells = rows.map((row) => row.map((cell) => oneLine(String(cell))))
  const numeric = header.map((_, column) => cells.every((row) => /^([\d-]+|[+-]\d+)$/.test(row[column]!)))
  const widths = header.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]!.length)))
  const last = header.length - 1
  if (width !== undefined) {
    const before = widths.slice(0, last).reduce((sum, one) => sum + one + 2, 0)
    widths[last] = Math.min(widths[last]!, Math.max(least, width - before))
  }
  const line = (row: readonly string[], isHeader: boolean) =>
    row
      .map((cell, column) => {
        const text = column === last ? shorten(cell, widths[column]!) : cell
        const padding = ' '.repeat(Math.max(0, widths[column]! - text.length))
        const painted = paint(text, isHeader ? 'dim' : colour?.(header[column]!, text))
        if (numeric[column]) return padding + painted
        return column === last ? painted : painted + padding
      })
      .join('  ')
      .trimEnd()
  return `${[line(header, true), ...cells.map((row) => line(row, false))].join('\n')}\n`
}
