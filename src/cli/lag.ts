import type { Command } from 'commander'
import { findConsumers } from '../client/find.js'
import { text } from '../client/partition-line.js'
import { greatestAge, type PartitionPosition, sumOfLag } from '../client/positions.js'
import { inSession } from '../client/session.js'
import { positionsOf } from '../client/view.js'
import { type GroupOptions, groupCommand, jsonOption } from './choose.js'
import { loadConfig } from './config.js'
import { age, ago, counted } from './format.js'
import { Rates } from './rates.js'
import { table } from './table.js'
import { painter } from './terminal.js'
import { shown, watchOption } from './watch.js'

export function lagCommand(): Command {
  return groupCommand(
    'lag',
    'How far the groups of a config are behind, by the store and the log. Needs no worker and no Temporal.',
  )
    .addOption(jsonOption('a JSON array of groups'))
    .addOption(watchOption())
    .addHelpText(
      'after',
      `
LAG is head - committed. Offsets may have gaps (those of Postgres streams always do): then it is an upper bound.
BEHIND is the age of the oldest message that is not committed yet; '-' where it can't be read.
COMMIT is how long ago the position was moved.

Examples:
  $ tidemark lag
  $ tidemark lag --group billing --watch 5
  $ tidemark lag --json | jq '.[] | {group, stream, lag, timeLagMs}'`,
    )
    .action(async (options: GroupOptions & { json?: boolean; watch?: number }) => {
      const config = await loadConfig(options.config)
      const rates = new Rates()
      await shown(async () => {
        const views = await inSession(config, (session) =>
          Promise.all(
            findConsumers(session.config, options).map(async (consumer) => {
              const { positions, why } = await positionsOf(session, consumer)
              // Without the log there is no lag.
              if (why) throw why
              return viewOf(consumer.settings, positions)
            }),
          ),
        )
        if (options.json) return `${JSON.stringify(views)}\n`
        return views.map((view) => show(view, rates.of(view))).join('\n')
      }, options)
    })
}

function viewOf({ group, stream }: { group: string; stream: string }, positions: readonly PartitionPosition[]) {
  return {
    group,
    stream,
    lag: text(sumOfLag(positions)),
    timeLagMs: greatestAge(positions),
    partitions: positions.map((one) => ({
      ...one,
      committed: text(one.committed),
      first: text(one.first),
      head: text(one.head),
      lag: text(one.lag),
      updatedAt: one.updatedAt?.toISOString() ?? null,
    })),
  }
}

function show({ group, stream, lag, timeLagMs, partitions }: ReturnType<typeof viewOf>, rate: string | null): string {
  const known = partitions.filter((one) => one.lag !== null).length
  const of = known === partitions.length || lag === null ? '' : `${known} of `
  const sums = [
    `lag ${lag ?? 'unknown'} in ${of}${counted(partitions.length, 'partition')}`,
    ...(timeLagMs === null ? [] : [`${age(timeLagMs)} behind`]),
    ...(rate === null ? [] : [`${rate} messages/s`]),
  ]
  const rows = partitions.map((one) => [
    one.partition,
    one.committed ?? '-',
    one.head ?? '-',
    one.lag ?? '-',
    age(one.timeLagMs),
    ago(one.updatedAt),
    one.remark,
  ])
  const body = table(['PARTITION', 'COMMITTED', 'HEAD', 'LAG', 'BEHIND', 'COMMIT', 'NOTE'], rows)
  return `${painter()(`${group} on ${stream}`, 'bold')}  ${sums.join(', ')}\n${body}`
}
