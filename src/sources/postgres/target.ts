import pg from 'pg'
import { TidemarkError } from '../../model/errors.js'
import { migrate } from '../../postgres/migrate.js'
import { parsePostgres } from '../../postgres/options.js'
import { postgresError } from '../../postgres/pool.js'

/** Anything that runs statements on one connection: a `pg` client, or the transaction that Tidemark gives a handler. */
export interface Connection {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>
}

/**
 * Where to write. A connection string or a pool: Tidemark makes a transaction of its own. A client, or a handler's `tx`: the
 * statements join the transaction that is open there, and commit or roll back with it.
 */
export type Target = string | pg.Pool | pg.ClientBase | Connection

/** Runs `work` on a connection of the target, in one transaction if the target brings none. */
export async function onTarget<T>(target: Target, work: (connection: Connection) => Promise<T>): Promise<T> {
  if (typeof target !== 'string') return isPool(target) ? onPool(target, work) : work(target as Connection)
  const settings = parsePostgres('target', { connectionString: target })
  const pool = new pg.Pool({ connectionString: settings.connectionString, max: 1 })
  pool.on('error', () => {})
  try {
    return await onPool(pool, work)
  } catch (error) {
    throw postgresError(error, settings)
  } finally {
    await pool.end()
  }
}

/** Brings the tables up to date where the target allows a transaction of our own; a client's may not be ours to end. */
export async function migrateTarget(target: Target, schema: string): Promise<void> {
  if (typeof target !== 'string') return isPool(target) ? migrate(target, schema) : undefined
  const settings = parsePostgres('target', { connectionString: target })
  const pool = new pg.Pool({ connectionString: settings.connectionString, max: 1 })
  pool.on('error', () => {})
  try {
    await migrate(pool, schema)
  } catch (error) {
    throw postgresError(error, settings)
  } finally {
    await pool.end()
  }
}

async function onPool<T>(pool: pg.Pool, work: (connection: Connection) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  const onError = () => {}
  client.on('error', onError)
  let failed: Error | undefined
  try {
    await client.query('begin')
    const result = await work(client as unknown as Connection)
    await client.query('commit')
    return result
  } catch (error) {
    failed = error instanceof Error ? error : new Error(String(error))
    // A connection that can still roll back is as good as new.
    if (await client.query('rollback').then(Boolean, () => false)) failed = undefined
    throw error
  } finally {
    client.off('error', onError)
    client.release(failed)
  }
}

function isPool(target: object): target is pg.Pool {
  return 'totalCount' in target && 'connect' in target
}

/** Says what a missing table means: nobody has set up the schema yet. */
export function withoutTables(error: unknown, schema: string): unknown {
  const undefinedTable = '42P01'
  const code = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
  if (code !== undefinedTable) return error
  return new TidemarkError(
    'STREAM_NOT_FOUND',
    `schema '${schema}' has no event streams yet: call createStream with a connection string or a pool once, which sets up the tables`,
    { cause: error },
  )
}
