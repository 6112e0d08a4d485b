import type { z } from 'zod'
import { TidemarkError } from '../model/errors.js'

/**
 * Checks options against a schema. The message names the fields; a value may be a secret, so none is ever shown.
 *
 * @param what what the options were given to, for errors: `kafka()`
 * @throws TidemarkError CONFIG_INVALID, a line for each wrong field
 */
export function checked<T extends z.ZodType>(what: string, schema: T, options: unknown): z.infer<T> {
  const parsed = schema.safeParse(options)
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${what}: unknown option ${issue.keys.map((key) => `'${key}'`).join(', ')}; check its spelling`
      : `${what}.${issue.path.join('.') || 'options'}: ${issue.message}`,
  )
  throw new TidemarkError('CONFIG_INVALID', lines.join('\n'))
}
