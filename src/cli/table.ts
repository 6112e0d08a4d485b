import { type Colour, oneLine, painter, widthOf, wrapped } from './terminal.js'

type Cell = string | number

export interface TableOptions {
  /** Columns to fit into; undefined: as wide as it gets. */
  readonly width?: number | undefined
  /** The colour of a cell. */
  readonly colour?: (column: string, cell: string) => Colour | undefined
  readonly paint?: ReturnType<typeof painter>
}

/** How far a cell that stands below its row is moved to the right. */
const indent = 4
/** A window that is narrower than this gets lines of this length, and breaks them itself. */
const least = 20

/**
 * Columns padded to their widest cell: numbers to the right, text to the left. The last column may be as long as it likes. On a terminal
 * a cell of it that does not fit into the line stands below its row, wrapped: nothing is cut.
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
  const before = widths.slice(0, last).reduce((sum, one) => sum + one + 2, 0)
  const room = width === undefined ? Number.POSITIVE_INFINITY : width - before
  const fits = (cell: string) => cell.length <= room
  widths[last] = Math.max(header[last]!.length, ...cells.map((row) => row[last]!.length).filter((one) => one <= room))
  const line = (row: readonly string[], isHeader: boolean) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat(Math.max(0, widths[column]! - cell.length))
        const painted = paint(cell, isHeader ? 'dim' : colour?.(header[column]!, cell))
        if (numeric[column]) return padding + painted
        return column === last ? painted : painted + padding
      })
      .join('  ')
      .trimEnd()
  const lines = cells.flatMap((row) => {
    const cell = row[last]!
    if (fits(cell)) return [line(row, false)]
    const below = wrapped(cell, Math.max(least, width! - indent))
    return [line([...row.slice(0, last), ''], false), ...below.map((part) => ' '.repeat(indent) + part)]
  })
  return `${[line(header, true), ...lines].join('\n')}\n`
}
