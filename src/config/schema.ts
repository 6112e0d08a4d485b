import { z } from 'zod'
import type { StartSpec } from '../model/start.js'
import { namesRealDay } from '../model/times.js'
import { count, durationOrOff, shown, size } from '../options/fields.js'

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
      context.addIssue(`offset ${shown(value.offset)} is not a whole number from 0 up`)
      return z.NEVER
    }
    const timestamp = new Date(value.timestamp).getTime()
    const isReal = typeof value.timestamp !== 'string' || namesRealDay(value.timestamp)
    // Kafka has other meanings for negative ones: -1 is the head.
    if (timestamp < 0) {
      context.addIssue(`timestamp ${shown(value.timestamp)} lies before 1970; say 'first'`)
      return z.NEVER
    }
    if (!Number.isNaN(timestamp) && isReal) return { timestamp }
    context.addIssue(
      `timestamp ${shown(value.timestamp)} is not a time; use a Date, ISO text, or milliseconds since 1970`,
    )
    return z.NEVER
  })

/** What a handler gets in one call. */
export const chunkFields = z.strictObject({
  maxMessages: count(10_000),
  targetDuration: durationOrOff('2s', 10),
  fetchBytes: size('2MB', 1024),
})

/** Names become parts of workflow IDs and task queues, where `/` separates them. */
export function name(what: string) {
  return z
    .string({ error: `must be text: the name of the ${what}` })
    .min(1, 'must not be empty')
    .max(200, 'must not be longer than 200 characters')
    .regex(/^[^/\p{Cc}]*$/u, "must not contain '/' or control characters")
}
