import type { Command } from 'commander'
import { pauseGroup, resumeGroup } from '../client/commands.js'
import type { GroupStatus } from '../model/commands.js'
import { type GroupOptions, groupCommand, partitionOption, withGroups } from './choose.js'

interface PartitionOptions extends GroupOptions {
  readonly partition?: number[]
  readonly reason?: string
}

export function pauseCommand(): Command {
  return groupCommand('pause', 'Stop a group, or some of its partitions, after the chunk in hand. Survives restarts.')
    .addOption(partitionOption())
    .option('-r, --reason <text>', 'why, for the people who look at it later', 'paused from the command line')
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark pause --group billing --reason 'bad deploy'
  $ tidemark pause --group billing --partition 3 --partition 7`,
    )
    .action((options: PartitionOptions) =>
      withGroups(options, async (client, names) => {
        for (const name of names)
          say(
            'paused',
            await pauseGroup(client, name, { reason: options.reason ?? '', ...partitionsOf(options) }),
            options,
          )
      }),
    )
}

export function resumeCommand(): Command {
  return groupCommand('resume', 'Let paused, blocked and fenced partitions go on where they are.')
    .addOption(partitionOption())
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark resume --group billing
  $ tidemark resume --group billing --partition 3`,
    )
    .action((options: PartitionOptions) =>
      withGroups(options, async (client, names) => {
        for (const name of names) say('running', await resumeGroup(client, name, partitionsOf(options)), options)
      }),
    )
}

function partitionsOf({ partition }: PartitionOptions): { partitions?: number[] } {
  return partition ? { partitions: partition } : {}
}

function say(what: string, { group, stream, partitions }: GroupStatus, options: PartitionOptions): void {
  const which = options.partition ? `partition ${options.partition.join(', ')}` : `all ${partitions.length} partitions`
  process.stdout.write(`${group} on ${stream}: ${which} ${what}\n`)
}
