import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Content, readMessageIn, type StoredMessage } from '../client/message.js'
import { inSession } from '../client/session.js'
import { parseSize } from '../model/units.js'
import { type GroupOptions, jsonOption, offsetOption, oneGroupCommand, onePartitionOption } from './choose.js'
import { loadConfig } from './config.js'
import { counted } from './format.js'
import { harmless, oneLine, painter, widthOf } from './terminal.js'

interface ShowOptions extends GroupOptions {
  readonly partition: number
  readonly offset?: bigint
  readonly payload?: boolean
  readonly maxSize: number
  readonly json?: boolean
}

export function showCommand(): Command {
  return oneGroupCommand('show', 'One message as it is in the log: the next one of a group, or any other.')
    .addOption(onePartitionOption())
    .addOption(
      offsetOption('the message at this offset; default: the next one, which a blocked partition stands in front of'),
    )
    .option('--payload', 'also show the values of the message and its headers')
    .addOption(
      new Option('--max-size <size>', 'show at most so much of each value').argParser(sizeOf).default(4 * 1024, '4KB'),
    )
    .addOption(jsonOption('a JSON object'))
    .addHelpText(
      'after',
      `
Without --payload it shows where the message stands, its time, key, sizes, and the names of its headers. Keys and values are shown
as text where they are UTF-8, else in base64; the source's 'value' option is not used, so a message that can't be decoded is shown, too.
Asks the store and the log. Needs no worker and no Temporal, and moves nothing.

Examples:
  $ tidemark show --partition 3
  $ tidemark show --group billing --stream orders --partition 3 --offset 120 --payload
  $ tidemark show --partition 3 --payload --json | jq -r .value.text`,
    )
    .action(async ({ config, payload, maxSize, json, ...wanted }: ShowOptions) => {
      const message = await inSession(await loadConfig(config), (session) =>
        readMessageIn(session, { ...wanted, ...(payload ? { payloadBytes: maxSize } : {}) }),
      )
      process.stdout.write(json ? `${JSON.stringify(message)}\n` : messageText(message))
    })
}

/** Narrower windows break lines themselves. */
const least = 20

export function sizeOf(text: string): number {
  const bytes = parseSize(/^\d+$/.test(text) ? Number(text) : text)
  if (bytes === undefined || bytes < 1) throw new InvalidArgumentError('give a size, for example 1MB')
  return bytes
}

/** Exported for its test. */
export function messageText({ headers, value, valueBytes, key, ...message }: StoredMessage, width = widthOf()): string {
  const paint = painter()
  const fields = [
    ['group', message.group],
    ['timestamp', message.timestamp ?? 'unknown'],
    ['key', key === null ? 'none' : oneLine(shownText(key)) + noticeOf(key)],
    ['value', valueBytes === null ? 'none (a tombstone)' : counted(valueBytes, 'byte')],
    ['headers', headers.length === 0 ? 'none' : ''],
  ]
  const widest = Math.max(...fields.map(([name]) => name!.length))
  return [
    paint(`${message.stream}[${message.partition}] offset ${message.offset}`, 'bold'),
    ...fields.flatMap(([name, text]) => {
      const [first = '', ...others] = folded(text!, widest + 2, width)
      return [`${paint(name!.padEnd(widest), 'dim')}  ${first}`.trimEnd(), ...others]
    }),
    ...headers.flatMap(({ name, bytes, value: content }) => {
      const text = bytes === null ? 'null' : content ? oneLine(shownText(content)) : counted(bytes, 'byte')
      const [first = '', ...others] = folded(
        `${oneLine(harmless(name))}: ${text}${content ? noticeOf(content) : ''}`,
        4,
        width,
      )
      return [`  ${first}`, ...others]
    }),
    ...(value ? ['', shownText(value).trimEnd(), ...noticesOf(value)] : []),
    '',
  ].join('\n')
}

/** Lines of a text that begins in some column: on a terminal, what does not fit stands below, from that column on. */
function folded(text: string, column: number, width: number | undefined): string[] {
  const room = width === undefined ? text.length : Math.max(least, width - column)
  const lines = text.match(new RegExp(`.{1,${Math.max(1, room)}}`, 'gsu')) ?? []
  return lines.map((line, index) => (index === 0 ? line : ' '.repeat(column) + line))
}

export function shownText({ text }: Content): string {
  return harmless(text)
}

/** What is worth saying of a content besides itself. */
export function noticesOf({ encoding, bytes, shownBytes }: Content): string[] {
  return [
    ...(encoding === 'base64' ? ['base64, since it is no UTF-8'] : []),
    ...(shownBytes < bytes
      ? [`the first ${counted(shownBytes, 'byte')} of ${bytes}: --payload and --max-size show more`]
      : []),
  ].map((notice) => `(${notice})`)
}

function noticeOf(content: Content): string {
  return noticesOf(content)
    .map((notice) => ` ${notice}`)
    .join('')
}
