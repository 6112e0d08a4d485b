import { Command } from 'commander'
import { parseConfig } from '../config/parse.js'
import { connectWithin } from '../worker/connect.js'
import { createLog } from '../worker/log.js'
import { jsonOption } from './choose.js'
import { configOption, loadConfig } from './config.js'

export function migrateCommand(): Command {
  return new Command('migrate')
    .description(
      "Make the store's tables and bring them up to date. 'tidemark start' does it, too; this is for deploys that want it first.",
    )
    .addOption(configOption())
    .addOption(jsonOption('a JSON object'))
    .addHelpText('after', '\nExamples:\n  $ tidemark migrate\n  $ tidemark migrate --config billing.config.ts')
    .action(async (options: { config?: string; json?: boolean }) => {
      const { store, connectTimeoutMs } = parseConfig(await loadConfig(options.config))
      const context = { log: createLog(), signal: new AbortController().signal }
      const client = await connectWithin(store.kind, () => store.connect(context), {
        timeoutMs: connectTimeoutMs,
        ...context,
      })
      try {
        await client.migrate()
      } finally {
        await client.close()
      }
      if (options.json) process.stdout.write(`${JSON.stringify({ store: store.kind, ...store.describe })}\n`)
      else process.stdout.write(`up to date: ${store.kind} store, ${described(store.describe)}\n`)
    })
}

/** `host 127.0.0.1, port 5432, database app, schema tidemark` */
function described(describe: object): string {
  return Object.entries(describe)
    .map(([what, value]) => `${what} ${Array.isArray(value) ? value.join(' and ') : value}`)
    .join(', ')
}
