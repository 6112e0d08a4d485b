import type { z } from 'zod'
import { TidemarkError } from '../model/errors.js'
import { fieldsAt } from './schema-fields.js'
import { guess } from './spelling.js'

/**
 * Checks options against a schema. The message names the fields; a schema shows no value that may be a secret.
 *
 * @param what what the options were given to, for errors: `kafka()`
 * @throws TidemarkError CONFIG_INVALID, a line for each wrong field
 */
export function checked<T extends z.ZodType>(what: string, schema: T, options: unknown): z.infer<T> {
  const parsed = schema.safeParse(options)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error, schema, what, `${what}.options`)
}

/**
 * One line a problem: where it is and what is allowed there. Zod's own messages stand where a field has none of its own.
 *
 * @param schema what the options were checked against: it knows how fields are spelled
 * @param what what the fields belong to; may be empty
 * @param whole what is wrong where no field is named
 */
export function invalid(error: z.ZodError, schema: z.ZodType, what: string, whole = what): TidemarkError {
  const lines = error.issues.flatMap(specific).flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
    const where = `${what}${path}`.replace(/^\./, '')
    if (issue.code !== 'unrecognized_keys') return [`${path ? where : whole}: ${inPlainWords(issue)}`]
    const fields = fieldsAt(schema, issue.path)
    return issue.keys.map((key) => `${where || whole}: ${unknownOption(key, fields)}`)
  })
  return new TidemarkError('CONFIG_INVALID', lines.join('\n'))
}

/** Zod's words for a missing object of options are replaced. The value is not shown: a connection string may have been given instead. */
function inPlainWords(issue: z.core.$ZodIssue): string {
  const { message } = issue
  if (issue.code !== 'invalid_type' || issue.expected !== 'object' || !message.startsWith('Invalid input'))
    return message
  const received = /received (\w+)$/.exec(message)?.[1] ?? ''
  return `must be an object with options${received === 'undefined' ? '' : `, not ${kinds[received] ?? received}`}`
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  function: 'a function',
}

/**
 * Says that there is no such option, and which one may have been meant.
 *
 * @param fields names of the options that there are
 */
export function unknownOption(key: string, fields: readonly string[]): string {
  const meant = guess(key, fields)
  if (meant) return `unknown option '${key}'${meant}`
  return `unknown option '${key}'; ${fields.length > 0 ? `there are ${fields.join(', ')}` : 'leave it out'}`
}

/** Of a value that may have one of several forms: what is wrong with it in the form that it was written in, if one is recognized. */
function specific(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const isOther = ({ code, path }: z.core.$ZodIssue) =>
    path.length === 0 && (code === 'invalid_type' || code === 'invalid_value' || code === 'custom')
  const written = issue.errors.filter((issues) => !issues.some(isOther))
  if (written.length !== 1) return [issue]
  return written[0]!.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
}
