import { createRequire } from 'node:module'
import { Command } from 'commander'
import { fail } from './fail.js'
import { migrateCommand } from './migrate.js'
import { pauseCommand, resumeCommand } from './pause.js'
import { startCommand } from './start.js'
import { statusCommand } from './status.js'

const { version, description } = createRequire(import.meta.url)('tidemark/package.json') as {
  version: string
  description: string
}

const program = new Command('tidemark')
  .description(description)
  .version(version)
  .showHelpAfterError("(run 'tidemark --help' for the commands)")
  .addCommand(startCommand())
  .addCommand(statusCommand())
  .addCommand(pauseCommand())
  .addCommand(resumeCommand())
  .addCommand(migrateCommand())
  .addHelpText(
    'after',
    `
Examples:
  $ tidemark start                                  run the consumers of ./tidemark.config.ts
  $ tidemark status --json | jq '.[].partitions'    what every partition is doing
  $ tidemark pause --group billing --reason 'bad deploy'
  $ tidemark resume --group billing

Exit codes: 0 done, 1 failed, 2 wrong use or wrong config.`,
  )

await program.parseAsync().catch(fail)
