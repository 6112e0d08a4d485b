import { createInterface } from 'node:readline'
import { TidemarkError } from '../model/errors.js'

/**
 * Whether there is somebody to ask, or nobody needs to be asked.
 *
 * @throws TidemarkError CONFIG_INVALID where it takes a yes and nobody is there to say it
 */
export function requireSomebody(
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
