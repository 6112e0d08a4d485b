/** Where a command writes, as far as it matters for looks. */
export interface Screen {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

/** Columns to fit into; undefined where nobody looks at a window: programs get everything. */
export function widthOf(screen: Screen = process.stdout): number | undefined {
  return screen.isTTY ? screen.columns || 80 : undefined
}

export type Colour = 'red' | 'yellow' | 'green' | 'dim' | 'bold'

const codes: Record<Colour, number> = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 }

/** Colours only for eyes: on a terminal, and not where NO_COLOR is set. https://no-color.org */
export function painter(
  screen: Screen = process.stdout,
  env: NodeJS.ProcessEnv = process.env,
): (text: string, colour: Colour | undefined) => string {
  const colourful = screen.isTTY && !env.NO_COLOR && env.TERM !== 'dumb'
  return (text, colour) => (colourful && colour ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text)
}

/** Cut to so many characters, the last one an ellipsis. */
export function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/** Broken into lines of at most so many characters: between words, or within a word that is longer than a line. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (let word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length <= width) {
      line += ` ${word}`
      continue
    }
    if (line !== '') lines.push(line)
    for (; word.length > width; word = word.slice(width)) lines.push(word.slice(0, width))
    line = word
  }
  return line === '' ? lines : [...lines, line]
}

/** Text of strangers, without what a terminal would take for a command. */
export function harmless(text: string): string {
  return Array.from(text, (char) => (isControl(char.charCodeAt(0)) ? `\\x${hexOf(char)}` : char)).join('')
}

/** Of C0 and C1, all but the tab and the line feed. */
function isControl(code: number): boolean {
  return code !== 9 && code !== 10 && (code < 0x20 || (code >= 0x7f && code < 0xa0))
}

function hexOf(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, '0')
}

/** What makes a text one line: reasons may quote several. */
export function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
