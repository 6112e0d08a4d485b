import { dateOf } from '../../model/times.js'
import type { FullLetter, Letter, LetterClass, LetterState, RawMessage } from '../../ports/index.js'
import { inMs } from '../client/own-types.js'

/** Columns of `dead_letters` that `letterOf` reads. */
export const letterColumns = `id, "group", stream, partition, "offset", replay, queue, state, class, code, error, tries, first_at, last_at,
  due_at, bytes, encode(substring(key from 1 for 1024), 'base64') as short_key64, reference, returns, corrected, asked_by, asked_reason, version, ${inMs('at')} as at_ms`
/** Those that `fullLetterOf` reads besides. Not as bytes: how these are written is up to the database. */
export const contentColumns = `encode(key, 'base64') as key64, encode(value, 'base64') as value64, headers, "timestamp" as written_ms`

/** Bigints are text. */
export interface LetterRow {
  readonly id: string
  readonly group: string
  readonly stream: string
  readonly partition: number
  readonly offset: string
  readonly replay: number
  readonly queue: string | null
  readonly state: LetterState
  readonly class: LetterClass
  readonly code: string | null
  readonly error: string
  readonly tries: number
  readonly first_at: string | null
  readonly last_at: string | null
  readonly due_at: string | null
  readonly bytes: string
  readonly short_key64: string | null
  readonly reference: boolean
  readonly returns: number
  readonly corrected: boolean
  readonly asked_by: string | null
  readonly asked_reason: string | null
  readonly version: number
  /** Null for an infinite time. */
  readonly at_ms: string | null
}

export interface FullLetterRow extends LetterRow {
  readonly key64: string | null
  readonly value64: string | null
  /** Null where there is no content. */
  readonly headers: string | null
  readonly written_ms: string
}

export function letterOf(row: LetterRow): Letter {
  const { id, group, stream, partition, replay, queue, state, code, error, tries, reference, returns, corrected } = row
  return {
    id,
    key: { group, stream, partition },
    replay,
    offset: BigInt(row.offset),
    queue,
    state,
    class: row.class,
    code,
    error,
    tries,
    firstAt: numberOf(row.first_at),
    lastAt: numberOf(row.last_at),
    dueAt: numberOf(row.due_at),
    messageKey: bytesOf(row.short_key64),
    bytes: Number(row.bytes),
    reference,
    returns,
    corrected,
    at: dateOf(Number(row.at_ms ?? 0)) ?? new Date(0),
    by: row.asked_by,
    reason: row.asked_reason,
  }
}

export function fullLetterOf(row: FullLetterRow): FullLetter {
  const { headers, key64, value64, written_ms } = row
  const message: RawMessage | null =
    headers === null
      ? null
      : {
          offset: BigInt(row.offset),
          timestamp: Number(written_ms),
          key: bytesOf(key64),
          value: bytesOf(value64),
          headers: headers === wholeMessage ? [] : headersOf(headers),
          ...(headers === wholeMessage && { whole: true as const }),
        }
  return { ...letterOf(row), message }
}

/** In the place of headers, of a message whose value is the whole of it (`RawMessage.whole`). */
export const wholeMessage = '"whole"'

/** Headers as text. JSON escapes what no text in Postgres can hold. */
export function headersText({ headers, whole }: Pick<RawMessage, 'headers' | 'whole'>): string {
  if (whole) return wholeMessage
  return JSON.stringify(headers.map(([name, value]) => [name, value?.toString('base64') ?? null]))
}

function headersOf(text: string): RawMessage['headers'] {
  return (JSON.parse(text) as [string, string | null][]).map(([name, value]) => [name, bytesOf(value)])
}

function bytesOf(base64: string | null): Buffer | null {
  return base64 === null ? null : Buffer.from(base64, 'base64')
}

function numberOf(text: string | null): number | null {
  return text === null ? null : Number(text)
}
