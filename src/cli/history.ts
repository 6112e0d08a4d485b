import { Command, InvalidArgumentError, Option } from 'commander'
import { changesOf } from '../client/changes.js'
import { text } from '../client/partition-line.js'
import { inSession } from '../client/session.js'
import type { HistoryEntry } from '../ports/index.js'
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
    .description(
      'What was done to groups and their positions, newest first: pauses, stops, resets, adopted offsets, messages skipped.',
    )
    .addOption(configOption())
    .addOption(new Option('-g, --group <name>', 'only this group'))
    .addOption(new Option('-s, --stream <name>', 'only this stream'))
    .addOption(
      new Option('-p, --partition <index>', 'only this partition, and the whole group').argParser(partitionIndex),
    )
    .addOption(new Option('-l, --limit <count>', 'show at most this many changes').argParser(countOf).default(100))
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
      const entries = await inSession(await loadConfig(config), (session) => changesOf(session, wanted))
      process.stdout.write(json ? `${JSON.stringify(entries.map(jsonOf))}\n` : show(entries))
    })
}

function countOf(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('give a whole number from 1 to 9999999')
}

function jsonOf({ group, stream, partition, kind, from, to, by, why, at }: HistoryEntry) {
  return { group, stream, partition, kind, from: text(from), to: text(to), by, why, at: at?.toISOString() ?? null }
}

function show(entries: readonly HistoryEntry[]): string {
  if (entries.length === 0) return 'no changes are recorded\n'
  const byGroup = new Map<string, HistoryEntry[]>()
  for (const entry of entries) {
    const name = `${entry.group} on ${entry.stream}`
    byGroup.set(name, [...(byGroup.get(name) ?? []), entry])
  }
  return [...byGroup].map(([name, theirs]) => `${painter()(name, 'bold')}\n${tableOf(theirs)}`).join('\n')
}

function tableOf(entries: readonly HistoryEntry[]): string {
  return table(
    ['WHEN', 'PARTITION', 'KIND', 'FROM', 'TO', 'WHO AND WHY'],
    entries.map(({ at, partition, kind, from, to, by, why }) => [
      when(at),
      partition ?? '-',
      kind,
      text(from) ?? '-',
      text(to) ?? '-',
      why ? `${by}: ${why}` : by,
    ]),
  )
}
