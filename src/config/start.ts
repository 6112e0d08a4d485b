import { z } from 'zod'
import { shown } from '../model/shown.js'
import type { StartSpec } from '../model/start.js'
import { momentOf } from '../model/times.js'
import { unknownOption } from '../options/checked.js'
import { guess } from '../options/spelling.js'

const words = ['first', 'last', 'next'] as const
const forms = "must be 'first', 'last', 'next', { offset } or { timestamp }"
/** Logs count in 64 bits with a sign. */
const greatestOffset = 2n ** 63n - 1n
/** Numbers before this are seconds that were taken for milliseconds, or no times at all. */
const year2000 = Date.UTC(2000)
/** Clocks differ by so much at times, ms. */
const tolerance = 60_000

/** The option `start`. */
export const start = z
  .unknown()
  .default('first')
  .transform((value, context): StartSpec => {
    const parsed = parse(value)
    if (typeof parsed !== 'string' || words.some((word) => word === parsed)) return parsed as StartSpec
    context.addIssue(parsed)
    return z.NEVER
  })

/** Where to start, or what is wrong. */
function parse(value: unknown): StartSpec | string {
  if (words.some((word) => word === value)) return value as 'first'
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
    return `${forms}, not ${shown(value)}${meantBy(value)}`
  const keys = Object.keys(value)
  const fields = ['offset', 'timestamp']
  const foreign = keys.find((key) => !fields.includes(key))
  if (foreign !== undefined) return unknownOption(foreign, fields)
  if (keys.length !== 1) return `${forms}: ${keys.length === 0 ? 'this is an object without either' : 'not both'}`
  return 'offset' in value ? offsetOf(value.offset) : timeOf(Reflect.get(value, 'timestamp'))
}

/** A bare number is an offset as a rule, since times are longer; other clients have other words. */
function meantBy(value: unknown): string {
  const isOffset = (typeof value === 'number' && Number.isInteger(value)) || typeof value === 'bigint'
  if (isOffset && value >= 0) return `; did you mean { offset: ${value} }?`
  if (value instanceof Date || (typeof value === 'string' && momentOf(value) !== null))
    return `; did you mean { timestamp: ${shown(value)} }?`
  return guess(value, words)
}

function offsetOf(value: unknown): StartSpec | string {
  const problem = `offset ${shown(value)} is not a whole number from 0 up`
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
    return `offset ${value} is too large for a number to be exact: write it as a bigint, or as text`
  const isNumeric = typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string'
  if (!isNumeric || !/^\d{1,19}$/.test(String(value))) return problem
  const offset = BigInt(value)
  return offset > greatestOffset ? `offset ${offset} is too large: no log goes beyond ${greatestOffset}` : { offset }
}

function timeOf(value: unknown): StartSpec | string {
  const isText = typeof value === 'string'
  const problem = `timestamp ${shown(value)} is not a time; use a Date, ISO text like '2026-07-01T08:00:00Z', or milliseconds since 1970`
  if (!isText && typeof value !== 'number' && !(value instanceof Date)) return problem
  const timestamp = isText ? momentOf(value) : new Date(value).getTime()
  if (timestamp === null || Number.isNaN(timestamp)) return problem
  // Kafka has other meanings for negative ones: -1 is the head.
  if (timestamp < 0) return `timestamp ${shown(value)} lies before 1970; say 'first'`
  if (!isText && timestamp < year2000) return `timestamp ${shown(value)} ${tooSmall(timestamp)}`
  if (timestamp > Date.now() + tolerance)
    return `timestamp ${shown(value)} lies in the future${isText ? ` (${new Date(timestamp).toISOString()})` : ''}; for messages from now on, say 'next'`
  return { timestamp }
}

function tooSmall(timestamp: number): string {
  const inSeconds = timestamp * 1000
  const meant = inSeconds >= year2000 && inSeconds <= Date.now() ? `; were seconds meant? Then write ${inSeconds}` : ''
  return `lies before 2000: it is taken as milliseconds since 1970${meant || ". For all that the log has, say 'first'"}`
}
