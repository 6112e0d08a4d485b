import { createRequire } from 'node:module'
import { Command } from 'commander'
import { adoptCommand } from './adopt.js'
import { completionCommand } from './completion.js'
import { costCommand } from './cost.js'
import { devCommand } from './dev.js'
import { drainCommand } from './drain.js'
import { exitCodes, wrongUse } from './fail.js'
import { groupsCommand } from './groups.js'
import { historyCommand } from './history.js'
import { initCommand } from './init.js'
import { lagCommand } from './lag.js'
import { deadLettersCommand } from './letters/command.js'
import { migrateCommand } from './migrate.js'
import { offsetsCommand } from './offsets.js'
import { pauseCommand, resumeCommand } from './pause.js'
import { resetCommand } from './reset.js'
import { resliceCommand } from './reslice.js'
import { showCommand } from './show.js'
import { skipCommand } from './skip.js'
import { startCommand } from './start.js'
import { statusCommand } from './status.js'

const { version, description } = createRequire(import.meta.url)('tidemark/package.json') as {
  version: string
  description: string
}

/** The whole command line, without what happens at the process's end. */
export function tidemarkProgram(): Command {
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
    .addCommand(drainCommand())
    .addCommand(deadLettersCommand())
    .addCommand(showCommand())
    .addCommand(skipCommand())
    .addCommand(resetCommand())
    .addCommand(adoptCommand())
    .addCommand(resliceCommand())
    .addCommand(historyCommand())
    .addCommand(offsetsCommand())
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
  everyCommand(program, (command, path) => {
    command
      .showHelpAfterError(`Run '${path} --help' to see what there is.`)
      .addHelpText('after', `\n${exitCodes}`)
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : wrongUse))
  })
  return program
}

/** Visits a command and all commands below it, each with its whole name: `tidemark groups delete`. */
export function everyCommand(command: Command, visit: (command: Command, path: string) => void, above = ''): void {
  const path = [above, command.name()].filter(Boolean).join(' ')
  visit(command, path)
  for (const below of command.commands) everyCommand(below, visit, path)
}
