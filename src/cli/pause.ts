import type { Command } from 'commander'
import { findConsumers } from '../client/find.js'
import { inSession, type Session } from '../client/session.js'
import { pauseIn, resumeIn, type Steered } from '../client/steer.js'
import type { ParsedConsumer } from '../config/parse.js'
import { TidemarkError } from '../model/errors.js'
import { type GroupName, partitionsNamed } from '../model/partition.js'
import { type GroupOptions, groupCommand, jsonOption, partitionOption } from './choose.js'
import { loadConfig } from './config.js'
import { confirmed } from './confirm.js'

interface SteerOptions extends GroupOptions {
  readonly partition?: number[]
  readonly reason?: string
  readonly yes?: boolean
  readonly json?: boolean
}

type Steer = (session: Session, consumer: ParsedConsumer) => Promise<Steered>

export function pauseCommand(): Command {
  return groupCommand('pause', 'Stop a group, or some of its partitions, after the chunk in hand. Survives restarts.')
    .addOption(partitionOption())
    .option('-r, --reason <text>', 'why, for the people who look at it later', 'paused from the command line')
    .option('-y, --yes', 'pause several groups without asking')
    .addOption(jsonOption('a JSON array'))
    .addHelpText(
      'after',
      `
Without --group, --stream and --partition it pauses all groups of the config, and asks first where there are several.
A group that does not run is paused, too: the pause holds when it is started.

Examples:
  $ tidemark pause --group billing --reason 'bad deploy'
  $ tidemark pause --group billing --partition 3 --partition 7
  $ tidemark pause --yes --json`,
    )
    .action((options: SteerOptions) =>
      steer('paused', options, (session, consumer) =>
        pauseIn(session, consumer, { reason: options.reason ?? '', ...partitionsOf(options) }),
      ),
    )
}

export function resumeCommand(): Command {
  return groupCommand(
    'resume',
    'Let paused, blocked and fenced partitions go on where they are, and start groups that were stopped in Temporal.',
  )
    .addOption(partitionOption())
    .option('-r, --reason <text>', 'why, for the history')
    .addOption(jsonOption('a JSON array'))
    .addHelpText(
      'after',
      `
A group that a person has cancelled or terminated in Temporal is started again; what was paused in it stays paused.
A partition whose trouble is still there is blocked again at once: 'tidemark status' shows it.

Examples:
  $ tidemark resume --group billing
  $ tidemark resume --group billing --partition 3 --reason 'fixed with #212'`,
    )
    .action((options: SteerOptions) =>
      steer('resumed', options, (session, consumer) =>
        resumeIn(session, consumer, {
          ...(options.reason === undefined ? {} : { reason: options.reason }),
          ...partitionsOf(options),
        }),
      ),
    )
}

async function steer(what: 'paused' | 'resumed', options: SteerOptions, each: Steer): Promise<void> {
  const { group, stream, json } = options
  await inSession(await loadConfig(options.config), async (session) => {
    const consumers = findConsumers(session.config, {
      ...(group === undefined ? {} : { group }),
      ...(stream === undefined ? {} : { stream }),
    })
    if (what === 'paused' && !(await agreed(consumers, options))) {
      process.stderr.write('nothing was changed\n')
      process.exitCode = 1
      return
    }
    const done: Steered[] = []
    try {
      for (const consumer of consumers) {
        const steered = await each(session, consumer)
        done.push(steered)
        if (!json) process.stdout.write(lineOf(what, steered, options))
        else if (steered.remark) process.stderr.write(`tidemark: ${describe(steered)}: ${steered.remark}\n`)
      }
    } finally {
      // What was done before something failed is said, too.
      if (json && done.length > 0) process.stdout.write(`${JSON.stringify(done.map(jsonOf))}\n`)
    }
  })
}

/**
 * Whether several groups are to be paused, or drained: whoever names none of them may not know how many the config has.
 *
 * @throws TidemarkError CONFIG_INVALID where nobody is there to ask
 */
export async function agreed(
  consumers: readonly { readonly settings: GroupName }[],
  options: SteerOptions,
  verb: 'pause' | 'drain' = 'pause',
): Promise<boolean> {
  const { group, stream, partition, yes } = options
  if (yes || group !== undefined || stream !== undefined || partition || consumers.length < 2) return true
  const all = consumers.map(({ settings }) => `${settings.group} on ${settings.stream}`).join(', ')
  if (process.stdin.isTTY) return confirmed(`${verb} all ${consumers.length} groups of the config (${all})?`)
  throw new TidemarkError(
    'CONFIG_INVALID',
    `tidemark ${verb} would ${verb} all ${consumers.length} groups of the config (${all}), and there is no terminal to ask: ` +
      'name them with --group, --stream or --partition, or say --yes',
  )
}

function partitionsOf({ partition }: SteerOptions): { partitions?: number[] } {
  return partition ? { partitions: partition } : {}
}

function lineOf(what: string, steered: Steered, { partition }: SteerOptions): string {
  const { partitions, remark, restarted } = steered
  if (restarted) return `${describe(steered)}: ${remark}\n`
  const which = partition ? partitionsNamed(partition) : `all ${partitions.length} partitions`
  return `${describe(steered)}: ${which} ${what}${remark ? `; ${remark}` : ''}\n`
}

function describe({ group, stream }: Steered): string {
  return `${group} on ${stream}`
}

function jsonOf({ group, stream, partitions, paused }: Steered) {
  return { group, stream, partitions, paused }
}
