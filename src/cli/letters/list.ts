import { type Command, InvalidArgumentError, Option } from 'commander'
import { listLettersIn, readLetterIn } from '../../client/letters/letter.js'
import { inSession } from '../../client/session.js'
import { type GroupOptions, groupCommand, jsonOption } from '../choose.js'
import { loadConfig } from '../config.js'
import { sizeOf } from '../show.js'
import { letterId, type SelectionOptions, selectionOf, withSelection } from './options.js'
import { letterText, listText } from './shown.js'

export function listCommand(): Command {
  return withSelection(groupCommand('list', 'Messages that were set aside, by their place in the log.'), {
    states: true,
  })
    .addOption(new Option('-l, --limit <count>', 'show at most this many').argParser(countOf).default(100))
    .addOption(jsonOption('a JSON object for each letter, a line each,'))
    .addHelpText(
      'after',
      `
CLASS is poison (its handler failed at it until its last try), undecodable, crash (workers were lost at it), later (its policy
brings it back), or behind (an earlier message of its key was set aside; it was not tried).
Without --state it shows letters that are not done with: waiting, due or leaving. Those that are done with have no key any more.
Asks the handlers' databases. Needs no worker and no Temporal, and changes nothing.

Examples:
  $ tidemark dead-letters list
  $ tidemark dead-letters list --group billing --class poison --older-than 1d
  $ tidemark dead-letters list --key customer-7 --json | jq -r .id
  $ tidemark dead-letters list --state redriven --limit 20`,
    )
    .action(async ({ config, limit, json, ...options }: SelectionOptions & { limit: number; json?: boolean }) => {
      const list = await inSession(await loadConfig(config), (session) =>
        listLettersIn(session, { ...selectionOf(options), limit }),
      )
      process.stdout.write(json ? list.shown.map((one) => `${JSON.stringify(one)}\n`).join('') : listText(list))
    })
}

function countOf(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('give a whole number from 1 to 9999999')
}

export function showLetterCommand(): Command {
  return groupCommand('show', 'One message that was set aside: where it was, why, and what was asked for it.')
    .argument('<id>', "its number, as 'tidemark dead-letters list' shows it", (text) => letterId(text)[0])
    .option('--payload', 'also show the values of the message and its headers')
    .addOption(
      new Option('--max-size <size>', 'show at most so much of each value')
        .argParser(sizeOf)
        .default(16 * 1024, '16KB'),
    )
    .addOption(jsonOption('a JSON object'))
    .addHelpText(
      'after',
      `
Keys and values are shown as text where they are UTF-8, else in base64. Letters that are done with have neither any more. Of a
letter that is kept as a reference, 'tidemark show --offset' shows what the log has.

Examples:
  $ tidemark dead-letters show 42
  $ tidemark dead-letters show 42 --payload
  $ tidemark dead-letters show 42 --payload --json | jq -r .value.text > value.json`,
    )
    .action(async (id: string, options: GroupOptions & ShowOptions) => {
      const { config, payload, maxSize, json, group, stream } = options
      const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
      const letter = await inSession(await loadConfig(config), (session) =>
        readLetterIn(session, id, { ...wanted, ...(payload ? { payloadBytes: maxSize } : {}) }),
      )
      process.stdout.write(json ? `${JSON.stringify(letter)}\n` : letterText(letter))
    })
}

interface ShowOptions {
  readonly payload?: boolean
  readonly maxSize: number
  readonly json?: boolean
}
