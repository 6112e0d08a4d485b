import type { z } from 'zod'
import { TidemarkError } from '../model/errors.js'

/**
 * Checks options against a schema. The message names the fields; a schema shows no value that may be a secret.
 *
 * @param what what the options were given to, for errors: `kafka()`
 * @throws TidemarkError CONFIG_INVALID, a line for each wrong field
 */
export function checked<T extends z.ZodType>(what: string, schema: T, options: unknown): z.infer<T> {
  const parsed = schema.safeParse(options)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error, what, `${what}.options`)
}

/**
 * One line a problem: where it is and what is allowed there. Zod's own messages stand where a field has none of its own.
 *
 * @param what what the fields belong to; may be empty
 * @param whole what is wrong where no field is named
 */
export function invalid(error: z.ZodError, what: string, whole = what): TidemarkError {
  const lines = error.issues.map((issue) => {
    const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
    const where = `${what}${path}`.replace(/^\./, '')
    if (issue.code === 'unrecognized_keys')
      return `${where || whole}: unknown option ${issue.keys.map((key) => `'${key}'`).join(', ')}; check its spelling`
    return `${path ? where : whole}: ${issue.message}`
  })
  return new TidemarkError('CONFIG_INVALID', lines.join('\n'))
}
