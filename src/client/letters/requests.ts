import type { Client } from '@temporalio/client'
import type { TidemarkConfig } from '../../config/define.js'
import { messageOf, TidemarkError } from '../../model/errors.js'
import { describePartition, type GroupName, type PartitionKey, ranges } from '../../model/partition.js'
import type { LetterChangeKind, LetterRequest } from '../../ports/index.js'
import { temporalError } from '../../temporal/connection.js'
import { redrivePartitions } from '../commands.js'
import { operatorName } from '../operator.js'
import { inSession, type Session } from '../session.js'
import { obstaclesOf } from './obstacles.js'
import { type LetterSelection, type LetterSum, noSuchLetter, selected, sumOf } from './selection.js'

/*
 * What a person asks for is written into the letters; the owners of their partitions, which hear of it at once, do it in the transactions of
 * the handler. So a request is durable, and needs no worker; and it comes too late for what an owner has in hand.
 */

export interface LetterRequestOptions {
  /** Default: `user@host` of this process. */
  readonly by?: string
  /** For people who look into the history later. */
  readonly reason?: string
  /** Says what would be asked, and asks nothing. */
  readonly dryRun?: boolean
}

export interface RedriveOptions extends LetterRequestOptions {
  /** Letters a second of each partition. Default: as fast as its owner can. */
  readonly perSecond?: number
}

export interface DiscardOptions extends LetterRequestOptions {
  readonly reason: string
  /** What becomes of letters that came behind those which are discarded. Needed where there are any. */
  readonly followers?: 'redrive' | 'discard'
}

/** What was asked for, or would be. */
export interface RequestedLetters extends LetterSum {
  readonly dryRun: boolean
  readonly groups: readonly RequestedOfGroup[]
}

export interface RequestedOfGroup extends GroupName, LetterSum {
  /** The partitions that the letters are of. */
  readonly owners: readonly number[]
  /** Letters of these partitions that the same person has asked for before, and that wait again. */
  readonly failedBefore: number
  /** Why the letters have to wait, a sentence each; empty where their owners are at work. */
  readonly waits: readonly string[]
}

/**
 * Has letters handled again, with all that came behind them: the whole queue of each of their keys, in order.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER, CONFIG_INVALID; UNREACHABLE, saying what was asked nevertheless
 */
export function redriveDeadLetters(config: TidemarkConfig, selection: LetterSelection, options: RedriveOptions = {}) {
  return inSession(config, (session) => requestIn(session, selection, { what: 'redrive', ...options }))
}

/** Has letters handled now that would come back by themselves later. Throws as `redriveDeadLetters`. */
export function runDeadLettersNow(config: TidemarkConfig, selection: LetterSelection, options: RedriveOptions = {}) {
  return inSession(config, (session) => requestIn(session, selection, { what: 'now', ...options }))
}

/**
 * Has letters discarded: their handlers never get them.
 *
 * @throws TidemarkError as `redriveDeadLetters`; CONFIG_INVALID where letters are behind those and nothing is said of them
 */
export function discardDeadLetters(config: TidemarkConfig, selection: LetterSelection, options: DiscardOptions) {
  return inSession(config, (session) => requestIn(session, selection, { what: 'discard', ...options }))
}

/** Takes back what was asked for letters, and has those that would come back by themselves wait for a person. Throws as `redriveDeadLetters`. */
export function cancelDeadLetters(
  config: TidemarkConfig,
  selection: LetterSelection,
  options: LetterRequestOptions = {},
) {
  return inSession(config, (session) => requestIn(session, selection, { what: 'cancel', ...options }))
}

/**
 * Puts another value into a letter, as bytes that its consumer decodes as those of the log; null for a tombstone. A redrive gives it to the
 * handler.
 *
 * @throws TidemarkError CONFIG_INVALID where there is no such letter, or it is done with, or only a reference
 */
export function correctDeadLetter(
  config: TidemarkConfig,
  id: string,
  value: Buffer | null,
  options: Pick<LetterSelection, 'group' | 'stream'> & Omit<LetterRequestOptions, 'dryRun'> = {},
): Promise<void> {
  return inSession(config, (session) => correctIn(session, id, value, options))
}

export async function correctIn(
  session: Session,
  id: string,
  value: Buffer | null,
  { by = operatorName(), reason = '', ...wanted }: NonNullable<Parameters<typeof correctDeadLetter>[3]>,
): Promise<void> {
  const [place] = await selected(session, { ...wanted, ids: [id] })
  const { letters } = place!
  const letter = await letters.read(id)
  if (!letter) throw noSuchLetter(id, [place!])
  if (!(await letters.correct(id, value, by, reason)))
    throw new TidemarkError(
      'CONFIG_INVALID',
      `dead letter ${id} (${describePartition(letter.key)} offset ${letter.offset}) is done with: it was ${letter.state}`,
      { place: { ...letter.key, offset: String(letter.offset) } },
    )
  await note(session, 'corrected', [letter.key], { by, why: because(`letter ${id}, offset ${letter.offset}`, reason) })
}

type Asked = Pick<LetterRequest, 'what'> & RedriveOptions & Pick<DiscardOptions, 'followers'>

const kinds: Record<LetterRequest['what'], LetterChangeKind> = {
  redrive: 'redriven',
  now: 'redriven',
  discard: 'discarded',
  cancel: 'cancelled',
}

export async function requestIn(
  session: Session,
  selection: LetterSelection,
  { what, by = operatorName(), reason = '', perSecond, followers, dryRun = false }: Asked,
): Promise<RequestedLetters> {
  const places = await selected(session, selection)
  // Before anything is changed: it may be missing.
  const client = dryRun ? null : await session.temporal()
  const groups: RequestedOfGroup[] = []
  for (const { name, letters, filter } of places) {
    const rate = perSecond === undefined ? {} : { perSecond }
    const request = { what, by, reason, dryRun, ...rate, ...(followers && { followers }) }
    const { owners, queues, ...count } = await letters.request(filter, request)
    if (owners.length === 0) continue
    const partitions = owners.map(({ partition }) => partition)
    const sum = { ...count, keys: queues }
    // Before the owners hear of it.
    const failed = { ...name, partitions, askedBy: by, states: ['waiting'] as const }
    const failedBefore = (await letters.count(failed)).letters
    if (client) {
      const said = `${count.letters} ${count.letters === 1 ? 'letter' : 'letters'} of ${describeOwners(name, partitions)}`
      await told(session, client, { name, partitions, said }, () =>
        note(session, kinds[what], owners, {
          by,
          why: because(what === 'now' ? `${said}, before their time` : said, reason),
        }),
      )
    }
    groups.push({
      ...name,
      ...sum,
      owners: partitions,
      failedBefore,
      waits: dryRun ? [] : await waitsOf(session, name, partitions),
    })
  }
  return { dryRun, ...sumOf(groups), groups }
}

/** The owners hear of it whether the history can be written or not: the letters themselves say what was asked for. */
async function told(
  session: Session,
  client: Client,
  {
    name,
    partitions,
    said,
  }: { readonly name: GroupName; readonly partitions: readonly number[]; readonly said: string },
  noting: () => Promise<void>,
): Promise<void> {
  const [telling, noted] = await Promise.allSettled([redrivePartitions(client, name, partitions), noting()])
  const failed = (what: string, error: unknown) =>
    new TidemarkError('UNREACHABLE', `${said}: what was asked for is written down, but ${what}: ${messageOf(error)}`, {
      cause: error,
      place: name,
    })
  if (telling.status === 'rejected')
    throw failed(
      'their owners could not be told and do it with their next batch',
      temporalError(telling.reason, session.config.temporal),
    )
  if (noted.status === 'rejected') throw failed('the history does not have it', noted.reason)
}

/** What was asked for is asked for, whether this can be found out or not. */
async function waitsOf(session: Session, name: GroupName, partitions: readonly number[]): Promise<readonly string[]> {
  return obstaclesOf(session, name, partitions).catch((error) => [
    `whether the group runs is unknown: ${messageOf(error)}`,
  ])
}

/** One entry, of the partition where it is only one. */
async function note(
  session: Session,
  kind: LetterChangeKind,
  owners: readonly PartitionKey[],
  { by, why }: { readonly by: string; readonly why: string },
): Promise<void> {
  const { changes } = await session.database()
  const { group, stream, partition } = owners[0]!
  await changes.add({
    group,
    stream,
    partition: owners.length === 1 ? partition : null,
    kind,
    from: null,
    to: null,
    by,
    why,
  })
}

/** What was done, and why where somebody has said that. */
export function because(what: string, reason: string): string {
  return reason === '' ? what : `${what}: ${reason}`
}

function describeOwners({ stream }: GroupName, partitions: readonly number[]): string {
  return partitions.length === 1
    ? describePartition({ stream, partition: partitions[0]! })
    : `${stream}, partitions ${ranges([...partitions].sort((a, b) => a - b))}`
}
