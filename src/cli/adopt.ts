import type { Command } from 'commander'
import { planAdoptionIn } from '../client/adopt.js'
import { TidemarkError } from '../model/errors.js'
import { oneGroupCommand } from './choose.js'
import { type MoveOptions, move, withMoveOptions } from './move.js'

/** What each log calls the name that offsets are kept under there. */
const prefixes: Readonly<Record<string, string>> = { kafka: 'kafka-group:', rabbitmq: 'rabbitmq-reference:' }
const forms = Object.values(prefixes).map((prefix) => `${prefix}<name>`)

export function adoptCommand(): Command {
  return withMoveOptions(
    oneGroupCommand(
      'adopt',
      "Go on where another consumer stands: takes its offsets from the log's own place for them.",
    ),
  )
    .option('-f, --from <where>', `${forms.join(' or ')}: the other consumer's group; default: the same name`)
    .addHelpText(
      'after',
      `
Stop the other consumer first. Partitions that it has no offset for stay as they are.
Shows what it would do, and asks.

Examples:
  $ tidemark adopt --group billing --dry-run
  $ tidemark adopt --group billing --stream orders --from kafka-group:billing-v1
  $ tidemark adopt --group billing --stream orders --from rabbitmq-reference:billing-v1`,
    )
    .action(({ from, partition, group, stream, why, ...options }: MoveOptions & { from?: string }) => {
      const other = from === undefined ? {} : otherOf(from)
      const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
      const note = [`from ${from ?? group ?? 'the group of the same name'}`, ...(why ? [why] : [])].join(', ')
      return move({ verb: 'adopt', done: 'adopted' }, { ...options, ...wanted, why: note }, (session) =>
        planAdoptionIn(session, { ...wanted, ...other, ...(partition ? { partitions: partition } : {}) }),
      )
    })
}

function otherOf(from: string): { readonly from: string; readonly kind: string } {
  for (const [kind, prefix] of Object.entries(prefixes))
    if (from.startsWith(prefix) && from.length > prefix.length) return { from: from.slice(prefix.length), kind }
  throw new TidemarkError('CONFIG_INVALID', `--from '${from}' names no group: write ${forms.join(' or ')}`)
}
