import { z } from 'zod'
import { type Handler, type HandlerKind, type TransactionalHandler, transactional } from '../handlers/handler.js'
import { whyNeverRun } from '../model/functions.js'
import { shown } from '../model/shown.js'
import { unknownOption } from '../options/checked.js'

/** A consumer's handler, by its kind. What would never work, or would never be waited for, is refused here. */
export const handler = z
  .custom<Handler>((value) => problemOf(value) === null, { error: ({ input }) => problemOf(input) ?? '' })
  .transform((given): HandlerKind => {
    if (!isTransactional(given)) return { kind: 'chunk', handle: given }
    const { kind, handle, database } = given
    return { kind, handle, ...(database && { database }) }
  })

/** What `transactional(handler, options)` takes. */
export const transactionalFields = ['database'] as const

const allowed = 'must be a function, or transactional(function)'

function problemOf(value: unknown): string | null {
  if (!isTransactional(value)) return problemOfFunction(value, '')
  const problem = problemOfFunction(value.handle, 'in transactional(...) ')
  if (problem !== null) return problem
  const foreign = Object.keys(value).filter((key) => !['kind', 'handle', ...transactionalFields].includes(key))
  if (typeof Reflect.get(value, 'connect') === 'function')
    return 'transactional(..., options) was given a database itself: write transactional(..., { database })'
  if (foreign.length > 0)
    return foreign.map((key) => `transactional(..., options): ${unknownOption(key, transactionalFields)}`).join('\n')
  const database: unknown = value.database
  if (database === undefined || (isObject(database) && typeof database.connect === 'function')) return null
  return 'transactional(..., { database }) must be given a database, for example postgresDatabase({ connectionString }) from tidemark/postgres'
}

function problemOfFunction(value: unknown, where: string): string | null {
  if (isTransactional(value)) return `${allowed}; ${where}this is transactional(...) again: leave one of the two out`
  if (value === transactional) return `${allowed}; this is transactional itself: call it with your function`
  if (value instanceof Promise)
    return `${allowed}; ${where}this is a promise: await it, or leave out the call that made it`
  if (typeof value !== 'function') return `${allowed}; ${where}this is ${shown(value)}`
  const never = whyNeverRun(value)
  return never === null ? null : `${allowed}; ${where}this is ${never}`
}

/** As `transactional` makes it, or written as an object. */
function isTransactional(value: unknown): value is TransactionalHandler {
  return (isObject(value) || typeof value === 'function') && Reflect.get(value, 'kind') === 'transactional'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
