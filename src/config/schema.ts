import { z } from 'zod'
import { durationOrOff, instead, optionalSize, wholeNumber } from '../options/fields.js'

/** What a handler gets in one call. */
export const chunkFields = z.strictObject({
  maxMessages: wholeNumber().optional(),
  targetDuration: durationOrOff('2s', 10, { leastNumber: 100 }),
  // Kafka counts them in 31 bits.
  fetchBytes: optionalSize(1024, 1024 ** 3),
})

/** Names become parts of workflow IDs and task queues, where `/` separates them. */
export function name(what: string) {
  return z
    .string({ error: instead(`must be text: the name of the ${what}`) })
    .min(1, 'must not be empty')
    .max(200, 'must not be longer than 200 characters')
    .regex(/^[^/\p{Cc}]*$/u, "must not contain '/' or control characters")
}
