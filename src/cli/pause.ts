import { Command, InvalidArgumentError, Option } from 'commander'
import { pauseGroup, resumeGroup } from '../client/commands.js'
import type { GroupStatus } from '../model/commands.js'
import { configOption } from './config.js'
import { type GroupOptions, groupOption, streamOption, withGroups } from './groups.js'

interface PartitionOptions extends GroupOptions {
  readonly partition?: number[]
  readonly reason?: string
}

export function pauseCommand(): Command {
  return shared('pause', 'Stop a group, or some of its partitions, after the chunk in hand. Survives restarts.')
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
  return shared('resume', 'Let paused, blocked and fenced partitions go on where they are.')
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

function shared(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(configOption())
    .addOption(groupOption())
    .addOption(streamOption())
    .addOption(new Option('-p, --partition <index>', 'only this partition; repeat it for more').argParser(addPartition))
}

function addPartition(text: string, before: number[] = []): number[] {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a partition is a whole number from 0 up')
  return [...before, Number(text)]
}

function partitionsOf({ partition }: PartitionOptions): { partitions?: number[] } {
  return partition ? { partitions: partition } : {}
}

function say(what: string, { group, stream, partitions }: GroupStatus, options: PartitionOptions): void {
  const which = options.partition ? `partition ${options.partition.join(', ')}` : `all ${partitions.length} partitions`
  process.stdout.write(`${group} on ${stream}: ${which} ${what}\n`)
}
