import { z } from 'zod'
import type { CommitStrategy } from '../model/strategy.js'
import type { Duration } from '../model/units.js'
import { duration } from '../options/fields.js'

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

const words: Record<string, CommitStrategy> = {
  afterBatch: { after: 'batch' },
  afterEach: { after: 'messages', messages: 1 },
  manual: { after: 'manual', intervalMs: 5_000 },
}

const shapes: Record<string, z.ZodType<CommitStrategy>> = {
  everyN: z
    .strictObject({ everyN: z.number().int('must be a whole number').min(1, 'must be at least 1') })
    .transform(({ everyN: messages }) => ({ after: 'messages', messages })),
  periodic: z
    .strictObject({ periodic: duration('5s', 10) })
    .transform(({ periodic: intervalMs }) => ({ after: 'interval', intervalMs })),
  manual: z
    .strictObject({ manual: duration('5s', 10) })
    .transform(({ manual: intervalMs }) => ({ after: 'manual', intervalMs })),
}

/** Not a union: that would answer every mistake with all the forms there are. */
export const commit = z
  .unknown()
  .prefault('afterBatch')
  .transform((value, context): CommitStrategy => {
    const object = typeof value === 'object' && value !== null
    const name = object ? (Object.keys(value)[0] ?? '') : String(value)
    const word = object ? undefined : words[name]
    if (word) return word
    const parsed = object ? shapes[name]?.safeParse(value) : undefined
    if (parsed?.success) return parsed.data
    for (const { message, path } of parsed?.error.issues ?? [{ message: forms, path: [] }])
      context.addIssue({ code: 'custom', message, path: [...path] })
    return z.NEVER
  })
