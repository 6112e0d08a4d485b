import { randomBytes } from 'node:crypto'
import pg from 'pg'

/** A database of somebody's own on a server that others use, too. */
export interface OwnDatabase {
  readonly connectionString: string
  /** Runs one statement, or several where there are no values; returns the rows of the last one. */
  query(sql: string, values?: readonly unknown[]): Promise<object[]>
  /** Removes it, ending whoever is still connected. */
  drop(): Promise<void>
}

/** For creating and dropping, by server. An idle connection keeps no process alive. */
const admins = new Map<string, pg.Pool>()

/**
 * Creates an empty database.
 *
 * @param server address of any database of the server, of a user who may create databases
 * @param name what its name begins with
 * @param named is told its name before it is there
 */
export async function createOwnDatabase(
  server: string,
  name: string,
  named: (name: string) => void = () => {},
): Promise<OwnDatabase> {
  const whole = `${name}_${process.pid}_${randomBytes(4).toString('hex')}`
  named(whole)
  await asAdmin(server, `create database ${whole}`)
  const url = new URL(server)
  url.pathname = `/${whole}`
  const connectionString = url.href
  const pool = new pg.Pool({ connectionString, max: 2, allowExitOnIdle: true })
  // The server ends the session when the database is dropped.
  pool.on('error', () => {})
  return {
    connectionString,
    query: async (sql, values) => {
      const result: pg.QueryResult<object> | pg.QueryResult<object>[] = await pool.query(sql, values && [...values])
      // Several statements have several results, which the driver's types don't say.
      return (Array.isArray(result) ? result.at(-1)!.rows : result.rows) as object[]
    },
    drop: async () => {
      await pool.end()
      await asAdmin(server, `drop database if exists ${whole} with (force)`)
    },
  }
}

async function asAdmin(server: string, statement: string): Promise<void> {
  let admin = admins.get(server)
  if (!admin) {
    const options = { max: 2, allowExitOnIdle: true, idleTimeoutMillis: 2_000, connectionTimeoutMillis: 10_000 }
    admin = new pg.Pool({ connectionString: server, ...options })
    // The next statement says whether the server is still there.
    admin.on('error', () => {})
    admins.set(server, admin)
  }
  await admin.query(statement)
}
