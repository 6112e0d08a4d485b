import { Command, Option } from 'commander'
import { dryRunOption, groupCommand, jsonOption, whyOption, yesOption } from '../choose.js'
import { type ChangeOptions, change } from './change.js'
import { listCommand, showLetterCommand } from './list.js'
import { letterId, rateOf, withSelection } from './options.js'

export function deadLettersCommand(): Command {
  return new Command('dead-letters')
    .description('Messages that were set aside: look at them, have them handled again, or discard them.')
    .enablePositionalOptions()
    .addCommand(listCommand())
    .addCommand(showLetterCommand())
    .addCommand(redriveCommand())
    .addCommand(runNowCommand())
    .addCommand(cancelCommand())
    .addCommand(discardCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark dead-letters list --group billing
  $ tidemark dead-letters show 42 --payload
  $ tidemark dead-letters redrive --group billing --dry-run`,
    )
}

function changing(name: string, description: string, all: string): Command {
  return withSelection(groupCommand(name, description).argument('[ids...]', 'numbers of letters', letterId))
    .option('-a, --all', all)
    .addOption(whyOption())
    .addOption(dryRunOption())
    .addOption(yesOption())
    .addOption(jsonOption('a JSON object'))
}

const followOption = () => new Option('--follow', 'show how far it is, until it is done; default on a terminal')
const rateOption = () =>
  new Option('--rate <rate>', 'letters that each partition handles at most: 100/s, 30/m').argParser(rateOf)

const requests = `
The request is written into the handlers' database, and the owners of the partitions do it: Ctrl-C ends no more than the watching. Where
no worker runs, or the group or a partition is paused, the letters wait until it goes on. It asks first where more than one letter is meant.`

function redriveCommand(): Command {
  return changing('redrive', 'Have messages that were set aside handled again.', 'all dead letters of the config')
    .option('--value-from <file>', 'put the content of a file into the one letter first, in the place of its value')
    .addOption(rateOption())
    .addOption(followOption())
    .addHelpText(
      'after',
      `
A redrive takes whole queues: of each key that a letter is meant of, all letters from the first one on, in their order. Where one
fails again, it and those behind it wait again; other keys go on.
${requests.trimStart()}
With --follow, the exit code is 1 where letters wait again.

Examples:
  $ tidemark dead-letters redrive 42
  $ tidemark dead-letters redrive 42 --value-from mended.json --why 'amount was text, see #212'
  $ tidemark dead-letters redrive --group billing --class poison --dry-run
  $ tidemark dead-letters redrive --group billing --key customer-7 --yes --follow
  $ tidemark dead-letters redrive --all --rate 100/s --yes`,
    )
    .action((ids: string[] = [], options: ChangeOptions) =>
      change({ what: 'redrive', command: 'redrive', verb: 'redrive', asked: 'to be redriven' }, ids, options),
    )
}

function runNowCommand(): Command {
  return changing(
    'run-now',
    'Have messages handled now that would come back by themselves later.',
    'all that would come back, of the whole config',
  )
    .addOption(rateOption())
    .addOption(followOption())
    .addHelpText(
      'after',
      `
Letters that wait for a person are left alone: 'tidemark dead-letters redrive' is for those.
${requests.trimStart()}

Examples:
  $ tidemark dead-letters run-now 42
  $ tidemark dead-letters run-now --group billing --yes --follow`,
    )
    .action((ids: string[] = [], options: ChangeOptions) =>
      change({ what: 'now', command: 'run-now', verb: 'handle now', asked: 'to be handled now' }, ids, options),
    )
}

function cancelCommand(): Command {
  return changing(
    'cancel',
    'Take back a redrive, a discard or a delay: what is not done yet waits for a person again.',
    'all of the config',
  )
    .addHelpText(
      'after',
      `
What an owner has in hand may be done with nevertheless. It asks first where more than one letter is meant.

Examples:
  $ tidemark dead-letters cancel 42
  $ tidemark dead-letters cancel --group billing --class later --why 'not before the fix'`,
    )
    .action((ids: string[] = [], options: ChangeOptions) =>
      change({ what: 'cancel', command: 'cancel', verb: 'keep', asked: 'to wait for a person' }, ids, options),
    )
}

function discardCommand(): Command {
  const command = changing(
    'discard',
    'Discard messages that were set aside: no handler gets them.',
    'all of the config',
  )
  return command
    .addOption(
      new Option(
        '--followers <what>',
        'what becomes of letters that came behind those which are discarded; needed where there are any',
      ).choices(['redrive', 'discard']),
    )
    .addOption(followOption())
    .addHelpText(
      'after',
      `
It needs a --reason, for the history. The letters' content goes for good, and what became of them stays on record for a while.
${requests.trimStart()}

Examples:
  $ tidemark dead-letters discard 42 --reason 'a test order'
  $ tidemark dead-letters discard 42 --followers redrive --reason 'a test order'
  $ tidemark dead-letters discard --group billing --code TypeError --older-than 30d --followers discard --reason 'too old' --yes`,
    )
    .action((ids: string[] = [], options: ChangeOptions) => {
      if (!options.why && !options.dryRun) command.error('error: say why: --reason <text>, for the history')
      return change({ what: 'discard', command: 'discard', verb: 'discard', asked: 'to be discarded' }, ids, options)
    })
}
