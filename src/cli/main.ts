import { createRequire } from 'node:module'
import { Command } from 'commander'
import { exitCodes, fail, wrongUse } from './fail.js'
import { lagCommand } from './lag.js'
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
  .addCommand(startCommand())
  .addCommand(statusCommand())
  .addCommand(lagCommand())
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
  $ tidemark resume --group billing`,
  )

for (const command of [program, ...program.commands]) {
  const name = command === program ? 'tidemark' : `tidemark ${command.name()}`
  command
    .showHelpAfterError(`Run '${name} --help' to see what there is.`)
    .addHelpText('after', `\n${exitCodes}`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : wrongUse))
}

await program.parseAsync().catch(fail)
