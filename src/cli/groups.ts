import type { Client } from '@temporalio/client'
import { Option } from 'commander'
import type { GroupName } from '../client/answers.js'
import { connectClient } from '../client/temporal.js'
import { parseConfig } from '../config/parse.js'
import { TidemarkError } from '../model/errors.js'
import { loadConfig } from './config.js'

export interface GroupOptions {
  readonly config?: string
  readonly group?: string
  readonly stream?: string
}

export const groupOption = () => new Option('-g, --group <name>', 'only this group of the config')
export const streamOption = () => new Option('-s, --stream <name>', 'only this stream')

/** Runs a command for the groups of the config that the options name. */
export async function withGroups<T>(
  options: GroupOptions,
  use: (client: Client, names: GroupName[]) => Promise<T>,
): Promise<T> {
  const { consumers, temporal } = parseConfig(await loadConfig(options.config))
  const all = consumers.map(({ settings: { group, stream } }) => ({ group, stream }))
  const named = all.filter(
    ({ group, stream }) => (options.group ?? group) === group && (options.stream ?? stream) === stream,
  )
  if (named.length === 0) {
    const list = all.map(({ group, stream }) => `${group} on ${stream}`).join(', ')
    throw new TidemarkError('UNKNOWN_CONSUMER', `the config has no such group; it has ${list}`)
  }
  const client = await connectClient(temporal)
  try {
    return await use(client, named)
  } finally {
    await client.connection.close()
  }
}
