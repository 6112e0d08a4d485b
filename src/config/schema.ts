import { z } from 'zod'
import type { StartSpec } from '../model/start.js'
import { parseDuration, parseSize } from '../model/units.js'

/** A duration, parsed to whole ms. */
export function duration(fallback: string, least = 1) {
  return z
    .union([z.number(), z.string()], { error: "must be a duration: '30s' or a number of milliseconds" })
    .default(fallback)
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms === undefined)
        context.addIssue(`${show(value)} is not a duration; use '250ms', '30s', '5m', '2h' or a number of milliseconds`)
      else if (ms < least) context.addIssue(`${show(value)} is too short; at least ${least} ms`)
      return ms ?? z.NEVER
    })
}

/** A size, parsed to bytes. */
export function size(fallback: string, least = 1) {
  return z
    .union([z.number(), z.string()], { error: "must be a size: '8MB' or a number of bytes" })
    .default(fallback)
    .transform((value, context) => {
      const bytes = parseSize(value)
      if (bytes === undefined)
        context.addIssue(`${show(value)} is not a size; use '512KB', '8MB', '1GB' or a number of bytes`)
      else if (bytes < least) context.addIssue(`${show(value)} is too small; at least ${least} bytes`)
      return bytes ?? z.NEVER
    })
}

export function count(fallback: number) {
  return z.number().int('must be a whole number').min(1, 'must be at least 1').default(fallback)
}

const startForms = "must be 'first', 'last', 'next', { offset } or { timestamp }"

export const start = z
  .union(
    [
      z.enum(['first', 'last', 'next']),
      z.strictObject({ offset: z.union([z.bigint(), z.number(), z.string()]) }),
      z.strictObject({ timestamp: z.union([z.date(), z.string(), z.number()]) }),
    ],
    { error: startForms },
  )
  .default('first')
  .transform((value, context): StartSpec => {
    if (typeof value === 'string') return value
    if ('offset' in value) {
      const text = String(value.offset)
      if (/^\d+$/.test(text)) return { offset: BigInt(text) }
      context.addIssue(`offset ${show(value.offset)} is not a whole number from 0 up`)
      return z.NEVER
    }
    const timestamp = new Date(value.timestamp).getTime()
    if (!Number.isNaN(timestamp)) return { timestamp }
    context.addIssue(
      `timestamp ${show(value.timestamp)} is not a time; use a Date, ISO text, or milliseconds since 1970`,
    )
    return z.NEVER
  })

/** Names become parts of workflow IDs and task queues, where `/` separates them. */
export function name(what: string) {
  return z
    .string({ error: `must be text: the name of the ${what}` })
    .min(1, 'must not be empty')
    .max(200, 'must not be longer than 200 characters')
    .regex(/^[^/\p{Cc}]*$/u, "must not contain '/' or control characters")
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}
