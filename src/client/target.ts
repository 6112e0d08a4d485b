import { TidemarkError } from '../model/errors.js'
import type { StartSpec } from '../model/start.js'
import { momentOf } from '../model/times.js'
import { parseDuration } from '../model/units.js'
import { guess } from '../options/spelling.js'

/** Where a position is put: as a consumer's start, or so many offsets from where it is. */
export type ResetTarget = StartSpec | { readonly by: bigint }

const words = ['first', 'last', 'next']
const forms =
  'first, last, next, an offset (1400), a time (2026-07-01T08:00:00Z), a time before now (-1h or PT1H), or +n or -n offsets from where it is'
/** Clocks differ by so much at times, ms. */
const tolerance = 60_000

/**
 * Reads a target as people write it. A time without a zone is UTC.
 *
 * @throws TidemarkError CONFIG_INVALID for what is none, and for a time that is still to come or before 1970
 */
export function parseTarget(text: string, now = Date.now()): ResetTarget {
  const written = text.trim()
  if (written === 'first' || written === 'last' || written === 'next') return written
  if (/^\d+$/.test(written)) return { offset: BigInt(written) }
  if (/^[+-]\d+$/.test(written)) return { by: BigInt(written.replace('+', '')) }
  const timestamp = momentOf(written) ?? timeBefore(written, now)
  if (timestamp === null)
    throw new TidemarkError('CONFIG_INVALID', `'${text}' is no position: use ${forms}${guess(written, words)}`)
  // Kafka has other meanings for them: -1 is the head.
  if (timestamp < 0) throw new TidemarkError('CONFIG_INVALID', `${text} lies before 1970: say first`)
  // Everything up to now would be skipped, which is what `next` says.
  if (timestamp > now + tolerance)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${text} is still to come (${new Date(timestamp).toISOString()}): for messages from now on, say next`,
    )
  return { timestamp }
}

/** `-1h`: an hour ago. So is `PT1H`, as kafka-consumer-groups writes it. */
function timeBefore(text: string, now: number): number | null {
  const ago = /^-\s*\d/.test(text) ? parseDuration(text.slice(1)) : isoDuration(text)
  return ago === undefined ? null : now - ago
}

/** Ms of an ISO 8601 duration, with a minus or without. Years and months have no length of their own. */
function isoDuration(text: string): number | undefined {
  const [, weeks, days, time, hours, minutes, seconds] =
    /^-?P(?:(\d+)W)?(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text) ?? []
  const parts = [weeks, days, hours, minutes, seconds]
  if (parts.every((part) => part === undefined) || time === 'T') return undefined
  const [w, d, h, m, s] = parts.map((part) => Number(part ?? 0)) as [number, number, number, number, number]
  return Math.round(((((w * 7 + d) * 24 + h) * 60 + m) * 60 + s) * 1000)
}
