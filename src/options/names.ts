import { z } from 'zod'
import { instead } from './fields.js'

/** Text that is shown on a line of its own, and kept as UTF-8. */
export function printable(allowed: string) {
  return z
    .string({ error: instead(allowed) })
    .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must not contain control characters')
    .regex(/^\P{Cs}*$/u, 'must be Unicode text: half of a surrogate pair is none')
}

/** For text that configs put together from environment variables. */
export const filledIn = [
  (text: string) => !/(^|[^\p{L}\p{N}])undefined($|[^\p{L}\p{N}])/u.test(text),
  "has 'undefined' in it: is an environment variable not set?",
] as const

/** As Postgres counts: a character beyond the 16 bits is one. */
export function noLongerThan(most: number) {
  return [(text: string) => [...text].length <= most, `must not be longer than ${most} characters`] as const
}
