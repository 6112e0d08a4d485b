import { Command, InvalidArgumentError, Option } from 'commander'
import { changesOf } from '../client/known.js'
import { text } from '../client/view.js'
import { parseConfig } from '../config/parse.js'
import type { OffsetChange } from '../ports/index.js'
import { type GroupOptions, jsonOption, partitionIndex } from './choose.js'
import { configOption, loadConfig } from './config.js'
import { when } from './format.js'
import { table } from './table.js'
import { painter } from './terminal.js'

interface HistoryOptions extends GroupOptions {
  readonly partition?: number
  readonly limit: number
  readonly json?: boolean
}

export function historyCommand(): Command {
  return new Command('history')
    .description('What was done to positions, newest first: resets, adopted offsets, messages skipped.')
    .addOption(configOption())
    .addOption(new Option('-g, --group <name>', 'only this group'))
    .addOption(new Option('-s, --stream <name>', 'only this stream'))
    .addOption(new Option('-p, --partition <index>', 'only this partition').argParser(partitionIndex))
    .addOption(new Option('-l, --limit <count>', 'no more changes than that').argParser(countOf).default(100))
    .addOption(jsonOption('a JSON array'))
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark history
  $ tidemark history --group billing --stream orders --partition 3
  $ tidemark history --json --limit 1000 | jq '.[] | select(.kind == "skipped")'`,
    )
    .action(async ({ json, config, ...wanted }: HistoryOptions) => {
      const changes = await changesOf(parseConfig(await loadConfig(config)), wanted)
      process.stdout.write(json ? `${JSON.stringify(changes.map(jsonOf))}\n` : show(changes))
    })
}

function countOf(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('give a whole number from 1 to 9999999')
}

function jsonOf({ group, stream, partition, kind, from, to, by, why, at }: OffsetChange) {
  return { group, stream, partition, kind, from: text(from), to: String(to), by, why, at: at.toISOString() }
}

function show(changes: readonly OffsetChange[]): string {
  if (changes.length === 0) return 'nobody has changed a position\n'
  const byGroup = new Map<string, OffsetChange[]>()
  for (const change of changes) {
    const name = `${change.group} on ${change.stream}`
    byGroup.set(name, [...(byGroup.get(name) ?? []), change])
  }
  return [...byGroup].map(([name, theirs]) => `${painter()(name, 'bold')}\n${tableOf(theirs)}`).join('\n')
}

function tableOf(changes: readonly OffsetChange[]): string {
  return table(
    ['WHEN', 'PARTITION', 'KIND', 'FROM', 'TO', 'WHO AND WHY'],
    changes.map(({ at, partition, kind, from, to, by, why }) => [
      when(at),
      partition,
      kind,
      text(from) ?? '-',
      text(to)!,
      why ? `${by}: ${why}` : by,
    ]),
  )
}
