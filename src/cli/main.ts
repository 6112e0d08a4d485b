import { createRequire } from 'node:module'
import { Command } from 'commander'
import { adoptCommand } from './adopt.js'
import { completionCommand } from './completion.js'
import { costCommand } from './cost.js'
import { devCommand } from './dev.js'
import { exitCodes, fail, wrongUse } from './fail.js'
import { groupsCommand } from './groups.js'
import { historyCommand } from './history.js'
import { initCommand } from './init.js'
import { lagCommand } from './lag.js'
import { migrateCommand } from './migrate.js'
import { pauseCommand, resumeCommand } from './pause.js'
import { resetCommand } from './reset.js'
import { resliceCommand } from './reslice.js'
import { startCommand } from './start.js'
import { statusCommand } from './status.js'

const { version, description } = createRequire(import.meta.url)('tidemark/package.json') as {
  version: string
  description: string
}

const program = new Command('tidemark')
  .description(description)
  .version(version)
  // `tidemark start` has a --version of its own.
  .enablePositionalOptions()
  .addCommand(startCommand())
  .addCommand(initCommand())
  .addCommand(devCommand())
  .addCommand(statusCommand())
  .addCommand(lagCommand())
  .addCommand(groupsCommand())
  .addCommand(costCommand())
  .addCommand(pauseCommand())
  .addCommand(resumeCommand())
  .addCommand(resetCommand())
  .addCommand(adoptCommand())
  .addCommand(resliceCommand())
  .addCommand(historyCommand())
  .addCommand(migrateCommand())
  .addCommand(completionCommand())
  .addHelpText(
    'after',
    `
Examples:
  $ tidemark init                                        write a consumer to begin with
  $ tidemark start                                       run the consumers of ./tidemark.config.ts
  $ tidemark status --watch                              what every partition is doing, and how far it is behind
  $ tidemark lag --json | jq '.[] | {group, lag}'        needs no worker
  $ tidemark cost                                        actions and dollars that Temporal Cloud would bill
  $ tidemark pause --group billing --reason 'bad deploy'
  $ tidemark reset --group billing --to -1000 --dry-run  what would be handled again
  $ tidemark history --group billing                     who moved which position, and why`,
  )

for (const command of [program, ...program.commands]) {
  const name = command === program ? 'tidemark' : `tidemark ${command.name()}`
  command
    .showHelpAfterError(`Run '${name} --help' to see what there is.`)
    .addHelpText('after', `\n${exitCodes}`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : wrongUse))
}

let worksOn = false
program.hook('preAction', (_, action) => {
  worksOn = action.name() === 'start'
})
// Whoever reads along may have seen enough: `tidemark status | head`. A worker goes on without readers.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (worksOn) return
  if (error.code === 'EPIPE') process.exit()
  throw error
})
// What can't be said on standard error can be said nowhere.
process.stderr.on('error', () => {})
await program.parseAsync().catch(fail)
// A connection to a peer that does not answer would keep the process for a while.
process.stdout.write('', () => process.exit())
