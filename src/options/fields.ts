import { z } from 'zod'
import { type Duration, parseDuration, parseSize, type Size } from '../model/units.js'

/* Fields that options of several parts have. An option that is left out has its `fallback`. */

const day = 24 * 3_600_000
/** Node's timers count ms in 31 bits, 24.8 days, and fire at once when asked for more. A little is added to some of them. */
const longestTimer = 24 * day

/**
 * A duration of at least `least` ms, parsed to ms. No longer than a timer can be, unless it never goes into one.
 *
 * @param most ms
 */
export const duration = (fallback: Duration, least = 1, most = longestTimer) =>
  z
    .union([z.number(), z.string()], { error: "must be a duration like '30s', or a number of milliseconds" })
    .default(fallback)
    .transform((value, context) => milliseconds(value, { least, most }, context))

/** A duration as above, or `false`, which becomes null: off. */
export const durationOrOff = (fallback: Duration | false, least = 1) =>
  z
    .union([z.number(), z.string(), z.literal(false)], {
      error: "must be a duration like '30s', a number of milliseconds, or false",
    })
    .default(fallback)
    .transform((value, context) =>
      value === false ? null : milliseconds(value, { least, most: longestTimer }, context),
    )

function milliseconds(
  value: Duration | number | string,
  { least, most }: { readonly least: number; readonly most: number },
  context: z.RefinementCtx,
): number {
  const ms = parseDuration(value)
  if (ms === undefined)
    context.addIssue(
      `${shown(value)} is not a duration; use '250ms', '30s', '5m', '2h', '7d' or a number of milliseconds`,
    )
  else if (ms < least) context.addIssue(`${shown(value)} is too short: must be at least ${durationText(least)}`)
  else if (ms > most) context.addIssue(`${shown(value)} is too long: must be at most ${durationText(most)}`)
  return ms ?? z.NEVER
}

/** How long a server may take, or how often it is asked. Clients multiply and add such times before they become timers, so a day at most. */
export const serverTime = (fallback: Duration, least: number) => duration(fallback, least, day)

/** A size of at least `least` bytes, parsed to bytes. */
export const size = (fallback: Size, least = 1) =>
  z
    .union([z.number(), z.string()], { error: "must be a size like '8MB', or a number of bytes" })
    .default(fallback)
    .transform((value, context) => {
      const bytes = parseSize(value)
      if (bytes === undefined)
        context.addIssue(`${shown(value)} is not a size; use '512KB', '8MB', '1GB' or a number of bytes`)
      else if (bytes < least) context.addIssue(`${shown(value)} is too small: must be at least ${sizeText(least)}`)
      return bytes ?? z.NEVER
    })

/** A whole number from 1. */
export const count = (fallback: number) =>
  z
    .number({ error: 'must be a whole number' })
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .default(fallback)

export const flag = z.boolean({ error: 'must be true or false' })

/** On, off, or what Node takes for a TLS socket. */
export const tls = z.union([z.boolean(), z.record(z.string(), z.unknown())], { error: 'must be true or TLS options' })

/** What of them must never be shown. */
export function tlsSecrets(options: unknown): readonly string[] {
  if (typeof options !== 'object' || options === null) return []
  return [Reflect.get(options, 'passphrase'), Reflect.get(options, 'key')].filter((one) => typeof one === 'string')
}

/** A value that was given, for people: text in quotes. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

function durationText(ms: number): string {
  return inLargest(ms, [day, 'd'], [1_000, 's'], [1, 'ms'])
}

function sizeText(bytes: number): string {
  return inLargest(bytes, [1024 ** 2, 'MB'], [1024, 'KB'], [1, 'B'])
}

function inLargest(amount: number, ...units: [size: number, name: string][]): string {
  const [unit, name] = units.find(([unit]) => amount % unit === 0) ?? [1, '']
  return `${amount / unit}${name}`
}
