import type { TidemarkError } from '../../model/errors.js'
import { streamNotFound } from '../../model/peer-errors.js'
import { driver } from '../client/driver.js'

/** Anything that runs statements on one connection: a `pg` client, or the transaction that Tidemark gives a handler. */
export interface Connection {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>
}

/** Quoted names of what a schema holds for event streams. */
export interface Tables {
  readonly streams: string
  readonly events: string
  readonly partitionOf: string
  readonly safePosition: string
  readonly logServer: string
}

export function tablesIn(schema: string): Tables {
  const quoted = driver.escapeIdentifier(schema)
  return {
    streams: `${quoted}.streams`,
    events: `${quoted}.events`,
    partitionOf: `${quoted}.partition_of`,
    safePosition: `${quoted}.safe_position`,
    logServer: `${quoted}.log_server`,
  }
}

/** Says what a missing table means: nobody has set up the schema yet. */
export function withoutTables(error: unknown, schema: string): unknown {
  const undefinedTable = '42P01'
  const code = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
  if (code !== undefinedTable) return error
  return streamNotFound('event streams yet', {
    where: `schema '${schema}'`,
    toDo: 'call createStream with a connection string or a pool once, which sets up the tables',
    cause: error,
  })
}

/** Nobody has created the stream. */
export function noStream(stream: string, schema: string, toDo = 'create it with createStream'): TidemarkError {
  return streamNotFound(`stream '${stream}'`, { where: `schema '${schema}'`, toDo, place: { stream } })
}
