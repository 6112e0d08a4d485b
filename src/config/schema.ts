import { z } from 'zod'
import { durationOrOff, optionalSize, wholeNumber } from '../options/fields.js'
import { filledIn, printable } from '../options/names.js'

/** What a handler gets in one call. */
export const chunkFields = z.strictObject({
  maxMessages: wholeNumber().optional(),
  targetDuration: durationOrOff('2s', 10, { leastNumber: 100 }),
  // Kafka counts them in 31 bits.
  fetchBytes: optionalSize(1024, 1024 ** 3),
})

/** Groups and streams: what Kafka, RabbitMQ and Postgres call them. How long they may be depends on each other: see `tooLong`. */
export function name(what: string) {
  return printable(`must be text: the name of the ${what}`).min(1, 'must not be empty').superRefine(filledIn)
}

export const group = name('group').refine((text) => text.trim() === text, 'must not begin or end with a space')

/** Task queues begin with it, and end with parts that `/` separates. */
export const taskQueue = printable('must be text: the name of the task queue')
  .min(1, 'must not be empty')
  .max(200, 'must not be longer than 200 characters')
  .regex(/^[^/]*$/, "must not contain '/'")
  .superRefine(filledIn)
  .default('tidemark')
