import type { TidemarkConfig } from '../../config/define.js'
import type { PartitionKey } from '../../model/partition.js'
import { dateOf } from '../../model/times.js'
import type { FullLetter, Letter, LetterClass, LetterState } from '../../ports/index.js'
import { type Content, contentOf } from '../message.js'
import { inSession, type Session } from '../session.js'
import { type LetterSelection, type LetterSum, noSuchLetter, selected, sumOf } from './selection.js'

/** A message that was set aside, for people. Fit for JSON: offsets are decimal text, times ISO text. */
export interface DeadLetter extends PartitionKey {
  readonly id: string
  readonly offset: string
  readonly replay: number
  /** The message's key, its beginning where it is long; null where it has none, or none is kept. */
  readonly key: Content | null
  readonly state: LetterState
  readonly class: LetterClass
  readonly code: string | null
  readonly error: string
  readonly tries: number
  readonly firstAt: string | null
  readonly lastAt: string | null
  /** When it was set aside. */
  readonly at: string
  /** When it comes back by itself; null where it does not. */
  readonly dueAt: string | null
  /** How often it came back and failed again. */
  readonly returns: number
  /** Who asked last what becomes of it, and why. */
  readonly by: string | null
  readonly reason: string | null
  readonly corrected: boolean
  /** Only its place is kept: its content is read from the log. */
  readonly reference: boolean
  /** Of key and value. */
  readonly bytes: number
}

/** With what is kept of its message. */
export interface WholeDeadLetter extends DeadLetter {
  /** When the message was written. */
  readonly timestamp: string | null
  readonly headers: readonly { readonly name: string; readonly bytes: number; readonly value?: Content | null }[]
  readonly valueBytes: number | null
  /** Present where values were asked for. */
  readonly value?: Content | null
}

export interface DeadLetterList extends LetterSum {
  /** Fewer than `letters` where these are more than the limit. */
  readonly shown: readonly DeadLetter[]
}

const longestKey = 1024
const lettersAtOnce = 1_000

/**
 * Messages that were set aside, by group, stream, partition and offset. Needs no worker and no Temporal.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER, CONFIG_INVALID, UNREACHABLE
 */
export function listDeadLetters(
  config: TidemarkConfig,
  selection: LetterSelection & { readonly limit?: number } = {},
): Promise<DeadLetterList> {
  return inSession(config, (session) => listLettersIn(session, selection))
}

export async function listLettersIn(
  session: Session,
  { limit = 100, ...selection }: LetterSelection & { readonly limit?: number },
): Promise<DeadLetterList> {
  const shown: DeadLetter[] = []
  const counts: LetterSum[] = []
  for (const { letters, filter } of await selected(session, selection)) {
    const { queues, ...count } = await letters.count(filter)
    counts.push({ ...count, keys: queues })
    for (let after: string | undefined; shown.length < limit; ) {
      const most = Math.min(lettersAtOnce, limit - shown.length)
      const page = await letters.list(filter, { limit: most, ...(after === undefined ? {} : { after }) })
      shown.push(...page.map(deadLetterOf))
      if (page.length < most) break
      after = page.at(-1)!.id
    }
  }
  return { ...sumOf(counts), shown }
}

/**
 * One message that was set aside, with what is kept of it.
 *
 * @param options.payloadBytes values are left out where it is absent; at most so many bytes of each are given
 * @throws TidemarkError CONFIG_INVALID where there is none of that number; UNKNOWN_CONSUMER, UNREACHABLE
 */
export function readDeadLetter(
  config: TidemarkConfig,
  id: string,
  options: Pick<LetterSelection, 'group' | 'stream'> & { readonly payloadBytes?: number } = {},
): Promise<WholeDeadLetter> {
  return inSession(config, (session) => readLetterIn(session, id, options))
}

export async function readLetterIn(
  session: Session,
  id: string,
  { payloadBytes, ...wanted }: NonNullable<Parameters<typeof readDeadLetter>[2]>,
): Promise<WholeDeadLetter> {
  const [place] = await selected(session, { ...wanted, ids: [id] })
  const letter = await place!.letters.read(id)
  // It may have been deleted this moment.
  if (!letter) throw noSuchLetter(id, [place!])
  return whole(letter, payloadBytes)
}

function whole(letter: FullLetter, payloadBytes: number | undefined): WholeDeadLetter {
  const { message } = letter
  const value = message?.value ?? null
  return {
    ...deadLetterOf(letter),
    timestamp: message ? iso(message.timestamp) : null,
    headers: (message?.headers ?? []).map(([name, bytes]) => ({
      name,
      bytes: bytes?.length ?? 0,
      ...(payloadBytes === undefined ? {} : { value: contentOf(bytes, payloadBytes) }),
    })),
    valueBytes: value?.length ?? null,
    ...(payloadBytes === undefined ? {} : { value: contentOf(value, payloadBytes) }),
  }
}

export function deadLetterOf({ key, messageKey, ...letter }: Letter): DeadLetter {
  const { id, offset, replay, state, code, error, tries, returns, by, reason, corrected, reference, bytes } = letter
  return {
    id,
    ...key,
    offset: String(offset),
    replay,
    key: contentOf(messageKey, longestKey),
    state,
    class: letter.class,
    code,
    error,
    tries,
    firstAt: iso(letter.firstAt),
    lastAt: iso(letter.lastAt),
    at: letter.at.toISOString(),
    dueAt: iso(letter.dueAt),
    returns,
    by,
    reason,
    corrected,
    reference,
    bytes,
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : (dateOf(ms)?.toISOString() ?? null)
}
