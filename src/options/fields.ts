import { z } from 'zod'
import { shown } from '../model/shown.js'
import { type Duration, parseDuration, parseSize, type Size } from '../model/units.js'
import { guess } from './spelling.js'

/* Fields that options of several parts have. An option that is left out has its `fallback`. */

const day = 24 * 3_600_000
/** Node's timers count ms in 31 bits, 24.8 days, and fire at once when asked for more. A little is added to some of them. */
const longestTimer = 24 * day

const aDuration = "must be a duration like '30s', or a number of milliseconds"

/** What a duration may be, ms. */
interface DurationLimits {
  readonly least: number
  readonly most: number
  /**
   * Bare numbers below this are refused, because seconds were probably meant: `shutdownTimeout: 30`. Text like `'30ms'` may go down to
   * `least`.
   */
  readonly leastNumber: number
}

/**
 * A duration of at least `least` ms, parsed to ms. No longer than a timer can be, unless it never goes into one.
 *
 * @param limits where they differ from that
 */
export const duration = (fallback: Duration, least = 1, limits: Partial<DurationLimits> = {}) =>
  given(aDuration, isDuration)
    .default(fallback)
    .transform((value, context) => milliseconds(value, limitsFrom(least, limits), context))

/** A duration as above; undefined when it is left out. */
export const optionalDuration = (least = 1, limits: Partial<DurationLimits> = {}) =>
  given(aDuration, isDuration)
    .transform((value, context) => milliseconds(value, limitsFrom(least, limits), context))
    .optional()

/** A duration as above, or `false`, which becomes null: off. */
export const durationOrOff = (fallback: Duration | false, least = 1, limits: Partial<DurationLimits> = {}) =>
  given(
    "must be a duration like '30s', a number of milliseconds, or false",
    (value): value is Duration | false => value === false || isDuration(value),
  )
    .default(fallback)
    .transform((value, context) => (value === false ? null : milliseconds(value, limitsFrom(least, limits), context)))

/** How long a server may take, or how often it is asked. Clients multiply and add such times before they become timers, so a day at most. */
export const serverTime = (fallback: Duration, least: number, leastNumber = least) =>
  duration(fallback, least, { most: day, leastNumber })

function isDuration(value: unknown): value is Duration {
  return typeof value === 'number' || typeof value === 'string'
}

function limitsFrom(least: number, limits: Partial<DurationLimits>): DurationLimits {
  return { least, most: longestTimer, leastNumber: least, ...limits }
}

function milliseconds(value: Duration, { least, most, leastNumber }: DurationLimits, context: z.RefinementCtx): number {
  const ms = parseDuration(value)
  const inSeconds = typeof value === 'number' && value > 0 && value * 1000 >= least && value * 1000 <= most
  const seconds = inSeconds ? `; did you mean '${value}s'?` : ''
  if (ms === undefined)
    context.addIssue(
      `${shown(value)} is not a duration; use '250ms', '30s', '5m', '2h', '7d' or a number of milliseconds${guessedUnit(value)}`,
    )
  else if (ms < least)
    context.addIssue(`${shown(value)} is too short: must be at least ${durationText(least)}${seconds}`)
  else if (ms > most) context.addIssue(`${shown(value)} is too long: must be at most ${durationText(most)}`)
  else if (typeof value === 'number' && value < leastNumber)
    context.addIssue(`${value} is ${value} milliseconds${seconds || '.'} For ${value} milliseconds, write '${value}ms'`)
  return ms ?? z.NEVER
}

const spellings: readonly [form: RegExp, unit: string][] = [
  [/^(ms|msecs?|milli(second)?s?)$/, 'ms'],
  [/^s(ecs?|econds?)?$/, 's'],
  [/^m(ins?|inutes?)?$/, 'm'],
  [/^h(rs?|ours?)?$/, 'h'],
  [/^d(ays?)?$/, 'd'],
]

/** `'30 seconds'` is probably meant as `'30s'`. */
function guessedUnit(value: Duration): string {
  const [, amount, word] = /^\s*(\d{1,15})\s*([a-z]+)\s*$/.exec(String(value).slice(0, 40).toLowerCase()) ?? []
  const unit = spellings.find(([form]) => word !== undefined && form.test(word))?.[1]
  return unit === undefined ? '' : `; did you mean '${amount}${unit}'?`
}

/** More than any machine has; numbers beyond are mistakes. */
const largestSize = 1024 ** 4

const aSize = given(
  "must be a size like '8MB', or a number of bytes",
  (value): value is Size => typeof value === 'number' || typeof value === 'string',
)

/** A size of `least` to `most` bytes, parsed to bytes. */
export const size = (fallback: Size, least = 1, most = largestSize) =>
  aSize.default(fallback).transform((value, context) => bytes(value, { least, most }, context))

/** A size as above; undefined when it is left out. */
export const optionalSize = (least = 1, most = largestSize) =>
  aSize.transform((value, context) => bytes(value, { least, most }, context)).optional()

function bytes(value: Size, { least, most }: Record<'least' | 'most', number>, context: z.RefinementCtx): number {
  const parsed = parseSize(value)
  if (parsed === undefined)
    context.addIssue(
      `${shown(value)} is not a size; use '512KB', '8MB', '1GB' or a number of bytes${guessedSize(value)}`,
    )
  else if (parsed < least) context.addIssue(`${shown(value)} is too small: must be at least ${sizeText(least)}`)
  else if (parsed > most) context.addIssue(`${shown(value)} is too large: must be at most ${sizeText(most)}`)
  return parsed ?? z.NEVER
}

/** A whole number from 1. */
export const count = (fallback: number, most?: number) => wholeNumber(most).default(fallback)

/** A whole number from 1, without a default. */
export const wholeNumber = (most = Number.MAX_SAFE_INTEGER) =>
  z
    .number({ error: instead('must be a whole number') })
    .int({ error: instead('must be a whole number'), abort: true })
    .min(1, { error: instead('must be at least 1') })
    .max(most, { error: instead(`must be at most ${most.toLocaleString('en')}`) })

export const flag = z.boolean({ error: instead('must be true or false') })

/** One of several words. */
export const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, { error: (issue) => `${instead(`must be ${listed(words)}`)(issue)}${guess(issue.input, words)}` })

/** Words in quotes: `'a', 'b' or 'c'`. */
export function listed(words: readonly string[]): string {
  const quoted = words.map((word) => `'${word}'`)
  return quoted.length === 1 ? quoted[0]! : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
}

/** What is allowed, and what was given instead. Not for values that may be a secret. */
export function instead(allowed: string): (issue: { readonly input?: unknown }) => string {
  return ({ input }) => (input === undefined ? allowed : `${allowed}, not ${shown(input)}`)
}

/** A value that `fits` says is of the right kind. */
export function given<T>(allowed: string, fits: (value: unknown) => value is T) {
  return z.custom<T>(fits, { error: instead(allowed) })
}

/** `'512m'` and `'32MiB'` are how other programs write `'512MB'` and `'32MB'`. */
function guessedSize(value: Size): string {
  const [, amount, letter] = /^\s*(\d{1,15})\s*([kmg])(i?b)?\s*$/.exec(String(value).slice(0, 40).toLowerCase()) ?? []
  return amount === undefined || letter === undefined ? '' : `; did you mean '${amount}${letter.toUpperCase()}B'?`
}

function durationText(ms: number): string {
  return inLargest(ms, [day, 'd'], [1_000, 's'], [1, 'ms'])
}

function sizeText(bytes: number): string {
  return inLargest(bytes, [1024 ** 3, 'GB'], [1024 ** 2, 'MB'], [1024, 'KB'], [1, 'B'])
}

function inLargest(amount: number, ...units: [size: number, name: string][]): string {
  const [unit, name] = units.find(([unit]) => amount % unit === 0) ?? [1, '']
  return `${amount / unit}${name}`
}
