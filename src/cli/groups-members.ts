import { Command } from 'commander'
import { type GroupMember, type GroupMembers, groupMembersIn } from '../client/members.js'
import { inSession } from '../client/session.js'
import { ranges } from '../model/partition.js'
import { jsonOption, streamOption } from './choose.js'
import { configOption, loadConfig } from './config.js'
import { ago, counted } from './format.js'
import { table } from './table.js'
import { painter } from './terminal.js'

export function membersCommand(): Command {
  return new Command('members')
    .description('The workers of groups, and which partitions each of them has in hand.')
    .argument('[group]', 'only this group; default: all groups of the config')
    .addOption(configOption())
    .addOption(streamOption())
    .addOption(jsonOption('a JSON array of groups'))
    .addHelpText(
      'after',
      `
By what Temporal knows: a worker that has ended is shown for up to 75 s, and one that has just started may be missing.
VERSION is that of the worker's config; '-' where it is neither the one in force nor the one of this config.
ASKED is how long ago the worker has asked for work; asking takes up to a minute where there is none.
HOLDS are the partitions of the batches that it has at this moment. Partitions at rest belong to no worker.

Examples:
  $ tidemark groups members
  $ tidemark groups members billing --stream orders
  $ tidemark groups members --json | jq '.[].members[] | select(.version == null) | .identity'`,
    )
    .action(
      async (
        group: string | undefined,
        { config, stream, json }: { config?: string; stream?: string; json?: boolean },
      ) => {
        const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
        const groups = await inSession(await loadConfig(config), (session) => groupMembersIn(session, wanted))
        process.stdout.write(json ? `${JSON.stringify(groups)}\n` : groups.map((one) => membersText(one)).join('\n'))
      },
    )
}

/** Exported for its test. */
export function membersText({ group, stream, version, members }: GroupMembers, now = Date.now()): string {
  const inForce = version === null ? '' : `  config ${version}`
  const title = `${painter()(`${group} on ${stream}`, 'bold')}${inForce}\n`
  if (members.length === 0) return `${title}no workers\n`
  const rows = members.map((one) => [
    one.pid ?? '-',
    one.host,
    one.version ?? '-',
    one.askedAt === null ? '-' : ago(one.askedAt, now),
    holds(one),
  ])
  return title + table(['PID', 'HOST', 'VERSION', 'ASKED', 'HOLDS'], rows)
}

function holds({ slices, waits }: GroupMember): string {
  const held = slices.map(
    ({ slice, partitions }) => `${counted(partitions.length, 'partition')} (${ranges(partitions)}) of slice ${slice}`,
  )
  return [...held, ...(waits ? ['waits for messages'] : [])].join('; ') || 'nothing'
}
