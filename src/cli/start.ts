import { Command } from 'commander'
import { startGroups } from '../client/groups.js'
import { parseConfig } from '../config/parse.js'
import { createWorker } from '../worker/worker.js'
import { configOption, loadConfig } from './config.js'
import { cliLog, quietTemporal } from './log.js'

export function startCommand(): Command {
  return new Command('start')
    .description(
      'Run the consumers of a config in this process, until Ctrl-C. Start it on more machines to share the partitions.',
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The database tables are made and brought up to date first. Parts that are not up yet are waited for.
Starting again with a changed config puts it in force from the next batch on, for the whole group.
The first Ctrl-C (or SIGTERM) finishes the chunks in hand, the second one ends at once.

Examples:
  $ tidemark start
  $ tidemark start --config billing.config.ts
  $ LOG_LEVEL=debug tidemark start`,
    )
    .action(async (options: { config?: string }) => {
      const config = await loadConfig(options.config)
      const { temporal } = parseConfig(config)
      const log = cliLog()
      quietTemporal(log)
      const ending = endOnSignal()
      const worker = await createWorker(config, { log, signal: ending })
      const running = worker.run()
      const started = startGroups(config).then((groups) => {
        for (const { group, stream, version, workflowId } of groups)
          log.info({ group, stream, version, workflowId, temporal: temporal.address }, `${group} reads ${stream}`)
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
      log.info({}, 'stopped')
      process.exit(0)
    })
}

function endOnSignal(): AbortSignal {
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (ending.signal.aborted) process.exit(1)
      ending.abort(new Error(`ended by ${signal}`))
    })
  return ending.signal
}
