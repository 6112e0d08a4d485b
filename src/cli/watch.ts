import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError, Option } from 'commander'
import { isTidemarkError, messageOf } from '../model/errors.js'
import { shorten } from './terminal.js'

const usual = 2

export function watchOption(): Option {
  return new Option('-w, --watch [seconds]', `look again every ${usual} seconds, or as told, until Ctrl-C`)
    .preset(String(usual))
    .argParser((text) => {
      const seconds = Number(text)
      if (!/^\d+(\.\d+)?$/.test(text) || seconds < 0.1 || seconds > 86_400)
        throw new InvalidArgumentError('give a number of seconds, 0.1 or more')
      return seconds
    })
}

/**
 * Shows a text once, or again and again until Ctrl-C: in its place on a terminal, one below the other elsewhere. What fails at
 * the first look ends the command; an outage later is shown, since somebody watches to see it end.
 */
export async function shown(
  look: () => Promise<string>,
  { watch: seconds, json }: { readonly watch?: number; readonly json?: boolean },
): Promise<void> {
  process.stdout.write(framed(await look(), seconds !== undefined))
  if (seconds === undefined) return
  // A line of JSON for each look, or tables with a gap between them.
  const apart = json || process.stdout.isTTY ? '' : '\n'
  process.once('SIGINT', () => process.exit(0))
  for (;;) {
    await sleep(seconds * 1000)
    const text = await look().catch((error) => {
      if (!isTidemarkError(error) || error.code !== 'UNREACHABLE') throw error
      const line = `${new Date().toISOString()}  ${messageOf(error)}\n`
      if (json) process.stderr.write(line)
      return json ? '' : line
    })
    process.stdout.write(apart + framed(text, true))
  }
}

/** On a terminal: from its first line on, each line over the old one, so that nothing flickers. */
function framed(text: string, watching: boolean): string {
  const { isTTY, columns, rows } = process.stdout
  if (!watching || !isTTY) return text
  const lines = text.trimEnd().split('\n')
  const room = Math.max(2, rows - 1)
  const fitting =
    lines.length <= room ? lines : [...lines.slice(0, room - 1), shorten(`… ${lines.length - room + 1} more`, columns)]
  return `\x1b[H${fitting.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`
}
