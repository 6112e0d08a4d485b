import type { Client } from '@temporalio/client'
import { Command, InvalidArgumentError, Option } from 'commander'
import { findConsumers } from '../client/find.js'
import { inSession } from '../client/session.js'
import type { GroupName } from '../model/partition.js'
import { configOption, loadConfig } from './config.js'

/** Which consumers a command is about. */
export interface GroupOptions {
  readonly config?: string
  readonly group?: string
  readonly stream?: string
}

export const groupOption = () => new Option('-g, --group <name>', 'only this group of the config')
export const streamOption = () => new Option('-s, --stream <name>', 'only this stream')
export const jsonOption = (what: string) => new Option('--json', `${what} on standard output`)
export const partitionOption = () =>
  new Option('-p, --partition <index>', 'only this partition; repeat it for more').argParser(addPartition)

/** A command about some of the config's groups. */
export function groupCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(configOption())
    .addOption(groupOption())
    .addOption(streamOption())
}

function addPartition(text: string, before: number[] = []): number[] {
  return [...before, partitionIndex(text)]
}

export function partitionIndex(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a partition is a whole number from 0 up')
  return Number(text)
}

/** Runs a command for the groups of the config that the options name. */
export async function withGroups<T>(
  options: GroupOptions,
  use: (client: Client, names: GroupName[]) => Promise<T>,
): Promise<T> {
  return inSession(await loadConfig(options.config), async (session) => {
    const found = findConsumers(session.config, options)
    const named = found.map(({ settings: { group, stream } }) => ({ group, stream }))
    return use(await session.temporal(), named)
  })
}
