import pg from 'pg'
import { postgresDatabase } from '../../src/postgres.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { type ProgressHarness, progressContract } from './progress-contract.js'

describeWith(['postgres'], 'Postgres', () => {
  progressContract('Postgres', async (): Promise<ProgressHarness> => {
    const { connectionString, drop } = await freshDatabase()
    const pool = new pg.Pool({ connectionString, max: 4 })
    pool.on('error', () => {})
    await pool.query('create table effects (n int, by_whom text)')
    return {
      connect: () =>
        postgresDatabase({ connectionString }).connect({ log: silentLog(), signal: new AbortController().signal }),
      sql: async <R extends object>(text: string, values: readonly unknown[] = []) =>
        (await pool.query<R>(text, [...values])).rows,
      session: { id: 'select pg_backend_pid() as id', end: 'select pg_terminate_backend($1::int)' },
      close: async () => {
        await pool.end()
        await drop()
      },
    }
  })
})
