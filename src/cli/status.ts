import type { Command } from 'commander'
import type { PartitionLine } from '../client/partition-line.js'
import { type ConsumerView, viewGroups } from '../client/view.js'
import { ranges } from '../model/partition.js'
import { type GroupOptions, groupCommand, jsonOption } from './choose.js'
import { loadConfig } from './config.js'
import { age, ago, counted } from './format.js'
import { Rates } from './rates.js'
import { table } from './table.js'
import { type Colour, painter } from './terminal.js'
import { shown, watchOption } from './watch.js'

export function statusCommand(): Command {
  return groupCommand(
    'status',
    'What the groups of a config and their partitions are doing, and how far they are behind.',
  )
    .addOption(jsonOption('a JSON array of groups'))
    .addOption(watchOption())
    .addHelpText(
      'after',
      `
Shows what the workers say, and positions and lag by the store and the log. Where no worker runs, it says so and shows
positions, pauses and stops all the same, and which partitions are blocked or fenced, and why. Where Temporal, the store
or the stream can't be reached, it shows what the others know.

The exit code is 1 where something can't be reached, and where a group that should run does not: nobody answers, its
workflow or a slice is gone, it was never started. A group that a person has paused or stopped, and a bounded run that has
finished, are as they should be.

STATE is running, idle (waits for messages), retrying, held (its activity is paused in Temporal), blocked, fenced, finished,
pausing (a chunk is still in hand), paused, stopped (with its group, in Temporal), stopped (no worker), not running (its
slice's workflow is gone, or its group's), or unknown (Temporal can't be asked).
LAG is head - committed. Offsets may have gaps (those of Postgres streams always do): then it is an upper bound.
BEHIND is the age of the oldest message that is not committed yet.
POSITION is where the next batch begins: ahead of what is committed by the work in hand.
WHY also says since when the handler has been at one chunk, where that takes long, and what it waits for. Where it does not fit
into the line, it stands below, whole. Messages that are set aside are counted below the table.

Examples:
  $ tidemark status
  $ tidemark status --group billing --watch
  $ tidemark status --json | jq '.[].partitions[] | select(.state == "blocked")'`,
    )
    .action(async (options: GroupOptions & { json?: boolean; watch?: number }) => {
      const config = await loadConfig(options.config)
      const wanted = {
        ...(options.group && { group: options.group }),
        ...(options.stream && { stream: options.stream }),
      }
      const rates = new Rates()
      await shown(async () => {
        const views = await viewGroups(config, wanted)
        const failed = views.filter(({ complete }) => !complete)
        if (options.watch === undefined && failed.length > 0) {
          const notes = new Set(failed.flatMap((view) => view.notes))
          process.stderr.write(`tidemark: shown is only what could be reached: ${[...notes].join('; ')}\n`)
          process.exitCode = 1
        }
        const problems = options.watch === undefined ? views.flatMap(({ problem }) => problem ?? []) : []
        for (const problem of problems) process.stderr.write(`tidemark: ${problem}\n`)
        if (problems.length > 0) process.exitCode = 1
        if (options.json) return `${JSON.stringify(views)}\n`
        return views.map((view) => show(view, rates.of(view))).join('\n')
      }, options)
    })
}

const colours: Partial<Record<PartitionLine['state'], Colour>> = {
  blocked: 'red',
  fenced: 'red',
  retrying: 'red',
  'not running': 'red',
  held: 'yellow',
  paused: 'yellow',
  stopped: 'yellow',
  'stopped (no worker)': 'yellow',
  running: 'green',
}

function show(view: ConsumerView, rate: string | null): string {
  const { group, stream, config, paused, stopped, notes, partitions } = view
  const paint = painter()
  const inForce = config ? `  config ${config.version}, started ${config.startedAt} by ${config.startedBy}` : ''
  const moving = rate === null ? '' : `${rate} messages/s\n`
  const halted = [
    ...(stopped ? [`${stopped}: 'tidemark resume --group ${group} --stream ${stream}' starts it again`] : []),
    ...(paused ? [`paused: ${paused}`] : []),
  ]
  const said = [...notes, ...halted].map((note) => `${paint(note, 'yellow')}\n`)
  const rows = partitions.map((line) => [
    line.partition,
    line.state,
    line.position ?? '-',
    line.committed ?? '-',
    line.lag ?? '-',
    age(line.timeLagMs),
    why(line),
  ])
  const body = table(['PARTITION', 'STATE', 'POSITION', 'COMMITTED', 'LAG', 'BEHIND', 'WHY'], rows, {
    colour: (column, cell) => (column === 'STATE' ? colours[cell as PartitionLine['state']] : undefined),
  })
  return `${paint(`${group} on ${stream}`, 'bold')}${inForce}\n${said.join('')}${moving}${body}${setAside(view)}`
}

/** What waits among the dead letters, in a line; empty where nothing does. Exported for its test. */
export function setAside({ group, stream, partitions }: Pick<ConsumerView, 'group' | 'stream' | 'partitions'>): string {
  const theirs = partitions.filter(({ letters }) => letters !== null && letters.messages > 0)
  if (theirs.length === 0) return ''
  const sum = (of: 'messages' | 'keys') => theirs.reduce((all, { letters }) => all + letters![of], 0)
  const where = ranges(theirs.map(({ partition }) => partition))
  return (
    `${counted(sum('messages'), 'message')} set aside (${counted(sum('keys'), 'key')}) in ${theirs.length === 1 ? 'partition' : 'partitions'} ${where}: ` +
    `tidemark dead-letters list --group ${group} --stream ${stream}\n`
  )
}

/** And for how long, where something is wrong. */
function why({ state, reason, since }: PartitionLine): string {
  if (!since || ['running', 'idle'].includes(state)) return reason
  return `for ${ago(since)}${reason ? `: ${reason}` : ''}`
}
