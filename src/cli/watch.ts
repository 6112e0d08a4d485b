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
export async function shown(look: () => Promise<string>, seconds: number | undefined): Promise<void> {
  process.stdout.write(framed(await look(), seconds !== undefined))
  if (seconds === undefined) return
  process.once('SIGINT', () => process.exit(0))
  for (;;) {
    await sleep(seconds * 1000)
    const text = await look().catch((error) => {
      if (!isTidemarkError(error) || error.code !== 'UNREACHABLE') throw error
      return `${new Date().toISOString()}  ${messageOf(error)}\n`
    })
    process.stdout.write(framed(text, true))
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
