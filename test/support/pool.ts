import pg from 'pg'

/**
 * A test's own pool. Its connections say goodbye when it ends, and a database that is dropped may be quicker to throw them out: nobody has to
 * hear of that.
 */
export function poolOf(connectionString: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options })
  pool.on('error', () => {})
  return pool
}
