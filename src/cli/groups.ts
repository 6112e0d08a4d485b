import { Command, Option } from 'commander'
import { text } from '../client/partition-line.js'
import { inSession } from '../client/session.js'
import { storedGroups } from '../client/stored-groups.js'
import { type GroupOptions, jsonOption } from './choose.js'
import { configOption, loadConfig } from './config.js'
import { ago } from './format.js'
import { deleteCommand } from './groups-delete.js'
import { membersCommand } from './groups-members.js'
import { table } from './table.js'

export function groupsCommand(): Command {
  return new Command('groups')
    .description("All groups that the config's store knows, also those that the config does not have.")
    .enablePositionalOptions()
    .addCommand(membersCommand())
    .addCommand(deleteCommand())
    .addOption(configOption())
    .addOption(new Option('-g, --group <name>', 'only this group'))
    .addOption(new Option('-s, --stream <name>', 'only groups of this stream'))
    .addOption(jsonOption('a JSON array'))
    .addHelpText(
      'after',
      `
LAG is shown where the config has the stream, and is an upper bound where offsets have gaps.

Examples:
  $ tidemark groups
  $ tidemark groups --stream orders --json
  $ tidemark groups members billing
  $ tidemark groups delete billing-v1`,
    )
    .action(async ({ json, config, ...wanted }: GroupOptions & { json?: boolean }) => {
      const { groups, notes } = await inSession(await loadConfig(config), (session) => storedGroups(session, wanted))
      for (const note of notes) process.stderr.write(`tidemark: ${note}\n`)
      const lines = groups.map((one) => ({
        ...one,
        lag: text(one.lag),
        lastCommit: one.lastCommit?.toISOString() ?? null,
      }))
      if (json) process.stdout.write(`${JSON.stringify(lines)}\n`)
      else if (lines.length === 0) process.stdout.write('the store knows no such groups yet\n')
      else
        process.stdout.write(
          table(
            ['GROUP', 'STREAM', 'PARTITIONS', 'LAG', 'LAST COMMIT'],
            lines.map((one) => [
              one.group,
              one.stream,
              one.partitions,
              one.lag ?? '-',
              one.lastCommit === null ? '-' : `${ago(one.lastCommit)} ago`,
            ]),
          ),
        )
    })
}
