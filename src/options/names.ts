import { z } from 'zod'
import { instead } from './fields.js'

/** Text that is shown on a line of its own, and kept as UTF-8. */
export function printable(allowed: string) {
  return z
    .string({ error: instead(allowed) })
    .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must not contain control characters')
    .regex(/^\P{Cs}*$/u, 'must be Unicode text: half of a surrogate pair is none')
}

/** What JavaScript makes of no text in a template. `null` and `NaN` may be words of a name, and are refused alone. */
const unfilled = /(?<![\p{L}\p{N}])undefined(?![\p{L}\p{N}])|\[object Object\]|^null$|^NaN$/u

/** For text that configs put together from environment variables. */
export function filledIn(text: string, context: z.RefinementCtx): void {
  const [found] = unfilled.exec(text) ?? []
  if (found !== undefined) context.addIssue(`has '${found}' in it: is an environment variable not set?`)
}

/** As Postgres counts: a character beyond the 16 bits is one. */
export function noLongerThan(most: number) {
  return [(text: string) => [...text].length <= most, `must not be longer than ${most} characters`] as const
}
