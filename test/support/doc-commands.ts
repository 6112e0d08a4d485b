import type { Command } from 'commander'
import { everyCommand, tidemarkProgram } from '../../src/cli/program.js'

/** Lines of a shell script, without comments and with continued lines joined. */
export function commandLines(script: string): readonly string[] {
  return script
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** Words behind `tidemark` in a command line; null where it does not call tidemark. */
export function tidemarkWords(line: string): readonly string[] | null {
  const words = shellWords(line)
  const start = words.findIndex((word) => /^(tidemark|.*\/tidemark(\.js)?)$/.test(word))
  const before = words.slice(0, Math.max(start, 0))
  const isCalled = before.every((word) => /^(npx|exec|node|sudo|time|\$|[A-Z_]+=.*|-.*)$/.test(word))
  return start < 0 || !isCalled ? null : words.slice(start + 1)
}

/** What commander says against the words, with everything but their actions; null where it has nothing to say. */
export async function refusalOf(words: readonly string[]): Promise<string | null> {
  const program = tidemarkProgram()
  const said: string[] = []
  everyCommand(program, (command) => {
    // The program itself does nothing: with an action, it would take a wrong command's name for an argument.
    if (command.parent !== null) command.action(() => {})
    command
      .configureOutput({ writeOut: () => {}, writeErr: (text) => said.push(text) })
      .showHelpAfterError(false)
      .exitOverride((error) => {
        throw error
      })
  })
  try {
    await program.parseAsync([...words], { from: 'user' })
    return null
  } catch (error) {
    const isHelp = /^commander\.(help|version)/.test(String(Reflect.get(error as Error, 'code')))
    return isHelp && said.length === 0 ? null : said.join('').trim() || String(error)
  }
}

/** What of a command named in prose does not exist. There, what a command requires may be left out. */
export function unknownIn(words: readonly string[]): string | null {
  let command: Command = tidemarkProgram()
  for (const [index, word] of words.entries()) {
    if (/^-+\w/.test(word)) {
      const flag = word.split('=')[0]!
      const known = command.options.some(({ long, short }) => flag === long || flag === short)
      if (!known && !['--help', '--version', '-h', '-V'].includes(flag))
        return `${command.name()} has no option ${flag}`
    } else if (index === 0 || command.commands.length > 0) {
      const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word))
      if (next) command = next
      else if (index === 0) return `there is no command ${word}`
    }
  }
  return null
}

/** Enough of a shell for examples: quotes, `$(...)`, and an end at a pipe, `&&`, `;`, a redirection or a comment. */
function shellWords(line: string): readonly string[] {
  const words: string[] = []
  for (const [word] of line.matchAll(/\$\([^)]*\)|(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (/^(#|\||&&|;|>|<)/.test(word) || word === '&') break
    words.push(word.replace(/['"]/g, ''))
  }
  return words
}
