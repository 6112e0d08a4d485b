import { z } from 'zod'
import { shown } from '../model/shown.js'
import type { CommitStrategy } from '../model/strategy.js'
import type { Duration } from '../model/units.js'
import { unknownOption } from '../options/checked.js'
import { duration, wholeNumber } from '../options/fields.js'
import { guess } from '../options/spelling.js'

/** The `commit` option of a consumer. */
export type CommitOption =
  | 'afterBatch'
  | 'afterEach'
  | 'manual'
  | { readonly everyN: number }
  | { readonly periodic: Duration }
  | { readonly manual: Duration }

/** Commits the offset after every n messages. The handler gets at most n at once. */
export function everyN(messages: number): CommitOption {
  return { everyN: messages }
}

/** Commits the offset of what is done, every so often: `periodic('5s')`. */
export function periodic(interval: Duration): CommitOption {
  return { periodic: interval }
}

/** Commits what the handler has stored with `context.storeOffset`, every so often, and when it calls `context.commit`. */
export function manual(interval: Duration = '5s'): CommitOption {
  return { manual: interval }
}

const forms = "must be 'afterBatch', 'afterEach', everyN(messages), periodic(interval) or manual(interval)"

/** Numbers below are taken for seconds. */
const interval = duration('5s', 10, { leastNumber: 100 })

const words: Record<string, CommitStrategy> = {
  afterBatch: { after: 'batch' },
  afterEach: { after: 'messages', messages: 1 },
  manual: { after: 'manual', intervalMs: 5_000 },
}

const shapes: Record<string, z.ZodType<CommitStrategy>> = {
  everyN: z
    .strictObject({ everyN: wholeNumber() })
    .transform(({ everyN: messages }) => ({ after: 'messages', messages })),
  periodic: z
    .strictObject({ periodic: interval })
    .transform(({ periodic: intervalMs }) => ({ after: 'interval', intervalMs })),
  manual: z.strictObject({ manual: interval }).transform(({ manual: intervalMs }) => ({ after: 'manual', intervalMs })),
}

/** Not a union: that would answer every mistake with all the forms there are. */
export const commit = z
  .unknown()
  .prefault('afterBatch')
  .transform((value, context): CommitStrategy => {
    if (typeof value === 'string' && Object.hasOwn(words, value)) return words[value]!
    const name =
      typeof value === 'object' && value !== null ? Object.keys(value).find((key) => key in shapes) : undefined
    const parsed = name === undefined ? undefined : shapes[name]!.safeParse(value)
    if (parsed?.success) return parsed.data
    for (const issue of parsed?.error.issues ?? []) {
      const { code, path } = issue
      const message =
        code === 'unrecognized_keys' ? issue.keys.map((key) => unknownOption(key, [name!])).join(', ') : issue.message
      context.addIssue({ code: 'custom', message, path: [...path] })
    }
    if (!parsed) context.addIssue(problemOf(value))
    return z.NEVER
  })

function problemOf(value: unknown): string {
  if (value === everyN) return `${forms}; this is everyN itself: call it, like everyN(500)`
  if (value === periodic) return `${forms}; this is periodic itself: call it, like periodic('5s')`
  if (value === manual) return `${forms}; this is manual itself: call it, like manual('5s')`
  const [key] = typeof value === 'object' && value !== null ? Object.keys(value) : []
  return `${forms}, not ${shown(value)}${guess(key ?? value, Object.keys(key === undefined ? words : shapes))}`
}
