import type pg from 'pg'
import { driver } from '../client/driver.js'
import { parsePostgres } from '../client/options.js'
import { connectError } from '../client/pool.js'
import { SteadyClient } from '../client/steady-client.js'
import type { Connection } from '../tables/event-tables.js'
import { migrate } from '../tables/migrate.js'

/**
 * Where to write. A connection string or a pool: Tidemark makes a transaction of its own. A client, or a handler's `tx`: the
 * statements join the transaction that is open there, and commit or roll back with it.
 */
export type Target = string | pg.Pool | pg.ClientBase | Connection

/** Runs `work` on a connection of the target, in one transaction if the target brings none. */
export function onTarget<T>(target: Target, work: (connection: Connection) => Promise<T>): Promise<T> {
  if (typeof target === 'string') return withPool(target, (pool) => onPool(pool, work))
  return isPool(target) ? onPool(target, work) : work(target as Connection)
}

/** The same, after bringing the tables up to date; not on a client, whose open transaction is not ours to commit. */
export function onMigratedTarget<T>(
  target: Target,
  schema: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const both = async (pool: pg.Pool) => {
    await migrate(pool, schema)
    return onPool(pool, work)
  }
  if (typeof target === 'string') return withPool(target, both)
  return isPool(target) ? both(target) : work(target as Connection)
}

async function withPool<T>(connectionString: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const settings = parsePostgres('target', { connectionString })
  const options = { connectionString, max: 1, Client: SteadyClient }
  const pool = new driver.Pool(options as pg.PoolConfig)
  pool.on('error', () => {})
  try {
    return await work(pool)
  } catch (error) {
    throw connectError(error, settings)
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
