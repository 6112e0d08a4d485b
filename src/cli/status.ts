import { Command } from 'commander'
import { type GroupView, groupStatus } from '../client/status.js'
import { configOption } from './config.js'
import { type GroupOptions, groupOption, streamOption, withGroups } from './groups.js'
import { table } from './table.js'

export function statusCommand(): Command {
  return new Command('status')
    .description('What the groups of a config and their partitions are doing, and which config is in force.')
    .addOption(configOption())
    .addOption(groupOption())
    .addOption(streamOption())
    .option('--json', 'a JSON array of groups on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark status
  $ tidemark status --group billing --json`,
    )
    .action((options: GroupOptions & { json?: boolean }) =>
      withGroups(options, async (client, names) => {
        const views = await Promise.all(names.map((name) => groupStatus(client, name)))
        process.stdout.write(options.json ? `${JSON.stringify(views)}\n` : views.map(show).join('\n'))
      }),
    )
}

function show({ group, stream, config, paused, partitions }: GroupView): string {
  const head = `${group} on ${stream}  config ${config.version}, started ${config.startedAt} by ${config.startedBy}`
  const rows = partitions.map((p) => [p.partition, p.state, p.position ?? '-', p.committed ?? '-', lag(p), p.reason])
  const body = table(['PARTITION', 'STATE', 'POSITION', 'COMMITTED', 'LAG', 'WHY'], rows)
  return `${head}\n${paused ? `paused: ${paused}\n` : ''}${body}`
}

function lag({ head, committed }: GroupView['partitions'][number]): string {
  return head !== undefined && committed !== undefined ? String(BigInt(head) - BigInt(committed)) : '-'
}
