/*
 * Markdown for the Temporal UI's pages. The UI gives tables no space between their columns, and may cut off the last line of a page,
 * so both are made here.
 */

import { brief } from '../src/model/summary.js'

/** Spaces that Markdown does not trim: a wide one between columns, and a line of its own. */
const gap = '\u2002'
const emptyLine = '\u00a0'
/** The UI loads a page by a URL that holds all of its text, which proxies limit. */
const longestText = 300
const mostRows = 50

export interface Column {
  readonly name: string
  readonly align?: 'right'
}

export function page(...paragraphs: readonly string[]): string {
  return [...paragraphs, emptyLine].join('\n\n')
}

/** @param rows cells in Markdown: what people or handlers wrote goes through `plain` */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const shown = rows.slice(0, mostRows)
  const lines = [
    line(columns.map(({ name }) => name)),
    `|${columns.map(({ align }) => (align === 'right' ? '---:' : '---')).join('|')}|`,
    ...shown.map(line),
  ]
  const left = rows.length - shown.length
  return lines.join('\n') + (left > 0 ? `\n\nand ${left} more, which \`tidemark status\` shows` : '')
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => `${cell}${gap}`).join(' | ')} |`
}

/** Text as it was written, on one line: no part of it is taken for Markdown or HTML. */
export function plain(text: string): string {
  return brief(text, longestText).replace(/[\\`*_<>|~$]|\](?=\()/g, '\\$&')
}

/** `2026-07-01 08:00:00 UTC`, of an ISO time. */
export function readable(time: string): string {
  return `${time.slice(0, 19).replace('T', ' ')} UTC`
}
