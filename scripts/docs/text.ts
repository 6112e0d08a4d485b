/** For the head of a page that nobody should edit. */
export function generated(from: string): string {
  return `<!-- Made from ${from} by \`npm run docs\`. Do not edit. -->\n`
}

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return `${[line(header), `|${header.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')}\n`
}

/** Text as one cell of a table. Names of pages become links, lists become lines. */
export function cell(text: string): string {
  return text
    .replace(/\n+- /g, '<br>• ')
    .replace(/\n\n+/g, '<br>')
    .replace(/\s+/g, ' ')
    .replace(/\|/g, '\\|')
    .replace(/docs\/([\w-]+)\.md/g, '[$1]($1.md)')
}
