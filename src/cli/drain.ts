import type { Command } from 'commander'
import { Option } from 'commander'
import { type Drained, drainIn } from '../client/drain.js'
import { findConsumers } from '../client/find.js'
import { inSession } from '../client/session.js'
import { ranges } from '../model/partition.js'
import { type GroupOptions, groupCommand, jsonOption } from './choose.js'
import { loadConfig } from './config.js'
import { durationOf } from './letters/options.js'
import { agreed } from './pause.js'
import { table } from './table.js'

interface DrainOptions extends GroupOptions {
  readonly reason: string
  readonly timeout?: number
  readonly yes?: boolean
  readonly json?: boolean
}

export function drainCommand(): Command {
  return groupCommand('drain', 'Pause a group, and wait until all that it has handled is committed.')
    .option('-r, --reason <text>', 'why, for the people who look at it later', 'drained')
    .addOption(new Option('--timeout <duration>', 'wait no longer than that: 30s, 5m').argParser(durationOf))
    .option('-y, --yes', 'drain several groups without asking')
    .addOption(jsonOption('a JSON array'))
    .addHelpText(
      'after',
      `
Finishes the chunks in hand, commits, and shows where the partitions stand. The group stays paused: 'tidemark resume' lets it go on.
Ctrl-C and --timeout end the waiting; the pause holds even so, and the exit code is 1.
To let one worker go, end its process: SIGTERM finishes the chunks in hand, and other workers take its partitions.

Examples:
  $ tidemark drain --group billing
  $ tidemark drain --group billing --timeout 5m --reason 'moving the database' && pg_dump ...
  $ tidemark drain --yes --json`,
    )
    .action(async ({ json, timeout, ...options }: DrainOptions) => {
      const { group, stream, reason, config } = options
      await inSession(await loadConfig(config), async (session) => {
        const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
        const consumers = findConsumers(session.config, wanted)
        if (!(await agreed(consumers, options, 'drain'))) {
          process.stderr.write('nothing was changed\n')
          process.exitCode = 1
          return
        }
        const waiting = new AbortController()
        const onSignal = () => waiting.abort()
        process.once('SIGINT', onSignal)
        const timer = timeout === undefined ? undefined : setTimeout(onSignal, timeout)
        try {
          const drained = await Promise.all(
            consumers.map((consumer) =>
              drainIn(session, consumer, {
                reason,
                signal: waiting.signal,
                onWaiting: (pausing) =>
                  process.stderr.write(
                    `${consumer.settings.group} on ${consumer.settings.stream}: chunks in hand in partitions ${ranges(pausing)}\n`,
                  ),
              }),
            ),
          )
          process.stdout.write(json ? `${JSON.stringify(drained)}\n` : drained.map(drainedText).join('\n'))
          if (drained.some((one) => !one.drained)) process.exitCode = 1
        } finally {
          clearTimeout(timer)
          process.off('SIGINT', onSignal)
        }
      })
    })
}

function drainedText({ group, stream, drained, remark, partitions }: Drained): string {
  const rows = partitions.map((one) => [one.partition, one.state, one.position ?? '-', one.committed ?? '-'])
  const what = drained ? 'drained' : 'paused, but not drained'
  return `${group} on ${stream}: ${what}${remark ? `; ${remark}` : ''}\n${table(['PARTITION', 'STATE', 'POSITION', 'COMMITTED'], rows)}`
}
