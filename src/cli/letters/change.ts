import { readFile } from 'node:fs/promises'
import { followed, type LetterProgress } from '../../client/letters/following.js'
import { correctIn, type RequestedLetters, requestIn } from '../../client/letters/requests.js'
import type { LetterSelection } from '../../client/letters/selection.js'
import { operatorName } from '../../client/operator.js'
import { inSession, type Session } from '../../client/session.js'
import { messageOf, TidemarkError } from '../../model/errors.js'
import { ranges } from '../../model/partition.js'
import { loadConfig } from '../config.js'
import { confirmed, requireConfirmable } from '../confirm.js'
import { counted } from '../format.js'
import { harmless, oneLine, shorten } from '../terminal.js'
import { requireSelection, type SelectionOptions, selectionOf } from './options.js'

/** Options of commands that ask something of dead letters. */
export interface ChangeOptions extends SelectionOptions {
  readonly all?: boolean
  readonly why?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly rate?: number
  readonly follow?: boolean
  readonly followers?: 'redrive' | 'discard'
  readonly valueFrom?: string
}

/** How a command is spoken of. */
interface Words {
  readonly what: 'redrive' | 'discard' | 'now' | 'cancel'
  readonly command: string
  /** Of letters, in a question and afterwards: `redrive`, `to be redriven`. */
  readonly verb: string
  readonly asked: string
}

/** Looks what is meant, shows it, asks, writes the request, and follows the owners at it. */
export async function change(words: Words, ids: readonly string[], options: ChangeOptions): Promise<void> {
  const { all = false, dryRun = false, yes = false, json = false, why = '', rate, followers, valueFrom } = options
  const command = `tidemark dead-letters ${words.command}`
  const selection = selectionOf(options, ids)
  requireSelection(command, selection, all)
  if (valueFrom !== undefined && selection.ids?.length !== 1)
    throw new TidemarkError('CONFIG_INVALID', `${command}: --value-from is about one letter: name its number`)
  const value = valueFrom === undefined ? null : await valueIn(valueFrom)
  const config = await loadConfig(options.config)
  await inSession(config, async (session) => {
    const by = operatorName()
    const request = {
      ...{ what: words.what, by, reason: why },
      ...(rate === undefined ? {} : { perSecond: rate }),
      ...(followers && { followers }),
    }
    const plan = await requestIn(session, selection, { ...request, dryRun: true })
    if (dryRun || plan.letters === 0) {
      process.stdout.write(
        json
          ? `${JSON.stringify(plan)}\n`
          : `${planText(plan, words)}${dryRun ? 'dry run: nothing was changed\n' : ''}`,
      )
      return
    }
    if (plan.letters > 1 && !yes) {
      requireConfirmable(command, options)
      process.stderr.write(planText(plan, words))
      if (!(await confirmed(`${words.verb} ${counted(plan.letters, 'letter')}?`))) {
        process.stderr.write('nothing was changed\n')
        process.exitCode = 1
        return
      }
    }
    if (value) await correctIn(session, selection.ids![0]!, value, { by, reason: why, ...namesOf(selection) })
    const requested = await requestIn(session, selection, request)
    process.stdout.write(json ? `${JSON.stringify(requested)}\n` : requestedText(requested, words))
    const follow =
      options.follow ?? (process.stdout.isTTY && !json && requested.groups.some(({ waits }) => waits.length === 0))
    if (follow && words.what !== 'cancel') await watch(session, requested, { by, json })
  })
}

function namesOf({ group, stream }: LetterSelection): Pick<LetterSelection, 'group' | 'stream'> {
  return { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
}

async function valueIn(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new TidemarkError('CONFIG_INVALID', `${file} can't be read: ${messageOf(error)}`, { cause: error })
  })
}

/** Exported for its test. */
export function planText({ letters, groups }: RequestedLetters, { asked }: Pick<Words, 'asked'>): string {
  if (letters === 0) return 'no dead letters are meant\n'
  return groups
    .map((one) => {
      const behind = one.behind > 0 ? `, ${one.behind} behind others` : ''
      const owners = ranges([...one.owners].sort((a, b) => a - b))
      return (
        `${one.group} on ${one.stream}: ${counted(one.letters, 'letter')} ${asked} ` +
        `(${counted(one.keys, 'key')}, ${one.owners.length === 1 ? 'partition' : 'partitions'} ${owners}${behind})\n`
      )
    })
    .join('')
}

function requestedText(requested: RequestedLetters, words: Words): string {
  const waits = requested.groups.flatMap((one) => one.waits.map((why) => `the letters of ${one.group} wait: ${why}\n`))
  return planText(requested, words) + (words.what === 'cancel' ? '' : waits.join(''))
}

/** Ctrl-C ends the watching, and nothing else. */
async function watch(
  session: Session,
  requested: RequestedLetters,
  { by, json }: { readonly by: string; readonly json: boolean },
): Promise<void> {
  const watching = new AbortController()
  const onSignal = () => watching.abort()
  process.once('SIGINT', onSignal)
  const { isTTY, columns } = process.stdout
  const inPlace = isTTY && !json
  try {
    const end = await followed(session, requested, {
      by,
      signal: watching.signal,
      onProgress: (progress) => {
        if (json) process.stdout.write(`${JSON.stringify(progress)}\n`)
        else if (inPlace) process.stdout.write(`\r${shorten(progressText(progress), columns - 1)}\x1b[K`)
        else process.stdout.write(`${progressText(progress)}\n`)
      },
      onSilence: () =>
        process.stderr.write(
          `${inPlace ? '\n' : ''}nothing has happened for a while: 'tidemark status' says whether workers run, and what the partitions are doing\n`,
        ),
    })
    if (inPlace) process.stdout.write(`\r${progressText(end)}\x1b[K\n`)
    if (end.left > 0) process.stderr.write('no longer watching: the owners of the partitions go on with it\n')
    else if (end.again > 0) process.exitCode = 1
  } finally {
    process.off('SIGINT', onSignal)
  }
}

/** Exported for its test. */
export function progressText({ letters, done, again, left, failure }: LetterProgress): string {
  const failed = again === 0 ? '' : `, ${again} ${again === 1 ? 'waits' : 'wait'} again`
  const to = left === 0 ? '' : `, ${left} to go`
  const why = failure === null ? '' : `; last failed ${oneLine(harmless(failure))}`
  return `${done} of ${letters} done${failed}${to}${why}`
}
