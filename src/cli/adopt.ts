import { Command } from 'commander'
import { planAdoption } from '../client/adopt.js'
import { TidemarkError } from '../model/errors.js'
import { type MoveOptions, move, withMoveOptions } from './move.js'

const prefix = 'kafka-group:'

export function adoptCommand(): Command {
  return withMoveOptions(
    new Command('adopt').description(
      "Go on where another consumer stands: takes its offsets from the log's own place for them.",
    ),
  )
    .option('-f, --from <where>', `${prefix}<name>: the other consumer's group; default: the same name`)
    .addHelpText(
      'after',
      `
Stop the other consumer first. Partitions that it has no offset for stay as they are.
Shows what it would do, and asks.

Examples:
  $ tidemark adopt --group billing --dry-run
  $ tidemark adopt --group billing --stream orders --from ${prefix}billing-v1`,
    )
    .action(({ from, partition, group, stream, why, ...options }: MoveOptions & { from?: string }) => {
      const other = from === undefined ? {} : { from: groupOf(from) }
      const wanted = { group, ...(stream === undefined ? {} : { stream }) }
      const note = [`from ${prefix}${other.from ?? group}`, ...(why ? [why] : [])].join(', ')
      return move('adopt', { ...options, ...wanted, why: note }, (config) =>
        planAdoption(config, { ...wanted, ...other, ...(partition ? { partitions: partition } : {}) }),
      )
    })
}

function groupOf(from: string): string {
  const name = from.startsWith(prefix) ? from.slice(prefix.length) : ''
  if (name) return name
  throw new TidemarkError('CONFIG_INVALID', `--from '${from}' names no group: write ${prefix}<name>`)
}
