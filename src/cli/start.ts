import { constants } from 'node:os'
import { Command } from 'commander'
import { groupsFinished } from '../client/finished.js'
import { type StartedGroup, startGroups } from '../client/groups.js'
import type { TidemarkConfig } from '../config/define.js'
import { parseConfig } from '../config/parse.js'
import type { TemporalSettings } from '../config/temporal.js'
import { withVersion } from '../config/version.js'
import type { GroupStatus } from '../model/commands.js'
import { parseListenAddress } from '../monitoring/address.js'
import type { Log } from '../ports/index.js'
import { askWithin } from '../worker/connect.js'
import { createWorker } from '../worker/create.js'
import { flushed } from '../worker/log.js'
import type { TidemarkWorker } from '../worker/worker.js'
import { configOption, loadConfig } from './config.js'
import { cliLog } from './log.js'

interface StartOptions {
  readonly config?: string
  readonly resumeStopped?: boolean
  readonly overwriteOffsets?: boolean
  readonly version?: string
  readonly port?: string
  readonly json?: boolean
}

export function startCommand(): Command {
  return new Command('start')
    .description(
      'Run the consumers of a config in this process, until Ctrl-C. Start it on more machines to share the partitions.',
    )
    .addOption(configOption())
    .option(
      '--version <text>',
      'name what is deployed, for example a commit: the version of all consumers of the config',
    )
    .option('--resume-stopped', 'also start groups that a person has stopped in Temporal')
    .option(
      '--overwrite-offsets',
      'overwrite offsets that other consumers have left in Kafka or RabbitMQ as these groups',
    )
    .option(
      '--port <address>',
      'serve /livez, /readyz and /metrics: on a port of 127.0.0.1 (9464), or on host:port (0.0.0.0:9464)',
      (address: string) => {
        parseListenAddress(address, '--port')
        return address
      },
    )
    .option('--json', 'log lines as JSON on standard error, on a terminal, too')
    .addHelpText(
      'after',
      `
The database tables are made and brought up to date first. Parts that are not up yet are waited for.
Starting again with a changed config puts it in force from the next batch on, for the whole group. What counts as a change is
the config itself and the text of its handlers. Code that handlers import is not seen: give each deploy a --version of its own.
Where every consumer has an end ('until'), it ends by itself when all of them are there.
Offsets that another consumer has left in Kafka or RabbitMQ under a group's name are reported, and stay until the group has handled
past them: 'tidemark adopt' goes on from there, --overwrite-offsets overwrites them. The other consumer must have stopped for both.
A group that a person has cancelled or terminated in Temporal stays stopped, until 'tidemark resume' or --resume-stopped.
The first Ctrl-C (or SIGTERM) finishes the chunks in hand, the second one ends at once: exit code 130 (or 143).

Examples:
  $ tidemark start
  $ tidemark start --config billing.config.ts
  $ tidemark start --version "$(git rev-parse --short HEAD)"
  $ tidemark start --port 9464 & curl localhost:9464/metrics
  $ LOG_LEVEL=debug tidemark start`,
    )
    .action(async (options: StartOptions) => {
      const written = await loadConfig(options.config)
      const config = options.version === undefined ? written : withVersion(written, options.version)
      const log = cliLog(options)
      try {
        await work(config, options, log)
      } finally {
        await flushed(log)
      }
      process.exit(0)
    })
}

/** Runs a worker and starts its groups, until a signal or the end of all that they read. */
async function work(config: TidemarkConfig, options: StartOptions, log: Log): Promise<void> {
  const { temporal, connectTimeoutMs } = parseConfig(config)
  const ending = endOnSignal()
  const { overwriteOffsets = false, port } = options
  const serving = port === undefined ? {} : { serve: port }
  const worker = await createWorker(config, { log, signal: ending, overwriteOffsets, ...serving })
  const running = worker.run()
  const start = () =>
    startGroups(config, {
      consumers: worker.consumers,
      ...(options.resumeStopped ? { resumeStopped: true } : {}),
    })
  // Temporal was there a moment ago, and may be gone again. Who ends the process meanwhile ends the worker.
  const waiting = { timeoutMs: connectTimeoutMs, log, signal: new AbortController().signal }
  const started = askWithin(`Temporal at ${temporal.address}`, start, waiting).then(async (groups) => {
    announce(worker, groups, temporal, log)
    await groupsFinished(config, groups, { onFinished: (group) => announceEnd(group, log) })
    // Others read for ever.
    if (groups.every(({ bounded, stopped }) => bounded && stopped === null)) worker.shutdown()
  })
  await Promise.race([running, started])
  // A group that can't be started leaves a worker that nobody needs.
  await Promise.all([
    running,
    started.catch((error) => {
      worker.shutdown()
      throw error
    }),
  ])
}

/** Says what runs, a line for each consumer. */
function announce(
  { consumers }: TidemarkWorker,
  groups: readonly StartedGroup[],
  { address, namespace }: TemporalSettings,
  log: Log,
): void {
  log.info({}, `connected to Temporal at ${address}, namespace ${namespace}`)
  for (const { group, stream, partitions, version } of consumers) {
    const stopped = groups.find((one) => one.group === group && one.stream === stream)?.stopped
    if (stopped) {
      log.warn({ group, stream, version }, stopped)
      continue
    }
    const of = partitions === 1 ? '1 partition' : `${partitions} partitions`
    log.info(
      { group, stream, partitions, version },
      `running: group ${group} reads ${stream}, ${of}, config ${version}`,
    )
  }
}

function announceEnd({ group, stream, partitions, reports }: GroupStatus, log: Log): void {
  const since = reports.map((report) => report.since).sort()
  const of = partitions.length === 1 ? '1 partition' : `${partitions.length} partitions`
  log.info({ group, stream, since: since.at(-1) }, `finished: group ${group} has read ${stream} to its end, ${of}`)
}

function endOnSignal(): AbortSignal {
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // At any moment: what is in hand is rolled back, or handled again, as after a crash.
      if (ending.signal.aborted) process.exit(128 + constants.signals[signal])
      ending.abort(new Error(`ended by ${signal}`))
    })
  return ending.signal
}
