import { createInterface } from 'node:readline'
import { TidemarkError } from '../model/errors.js'

/**
 * Makes sure that a change can be confirmed: by an option, or at a terminal.
 *
 * @throws TidemarkError CONFIG_INVALID where a confirmation is needed and there is no terminal to ask at
 */
export function requireConfirmable(
  what: string,
  { yes, dryRun }: { yes?: boolean; dryRun?: boolean },
  instead = '--yes, or --dry-run to see what it would do',
): void {
  if (yes || dryRun || process.stdin.isTTY) return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${what} asks before it changes anything, and there is no terminal to ask: say ${instead}`,
  )
}

/** Asks on standard error, so that standard output stays what it is. Anything but y or yes is a no, and so is Ctrl-D. */
export function confirmed(question: string): Promise<boolean> {
  process.stderr.write(`${question} [y/N] `)
  // Not as a terminal: that would take Ctrl-C away from the process.
  const lines = createInterface({ input: process.stdin, terminal: false })
  return new Promise((resolve) => {
    lines.once('line', (line) => {
      resolve(/^\s*y(es)?\s*$/i.test(line))
      lines.close()
    })
    lines.once('close', () => resolve(false))
  })
}
