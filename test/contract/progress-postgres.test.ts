import { postgresDatabase } from '../../src/entry/postgres.js'
import type { Transaction } from '../../src/ports/index.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { silentLog } from '../support/silent-log.js'
import { type ProgressHarness, progressContract } from './progress-contract.js'
import { type SqlHarness, sqlProgressContract } from './progress-sql-contract.js'

describeWith(['postgres'], 'Postgres', () => {
  progressContract('Postgres', openHarness)
  sqlProgressContract('Postgres', openHarness)
})

async function openHarness(): Promise<ProgressHarness<Transaction> & SqlHarness> {
  const { connectionString, drop } = await emptyDatabase()
  const pool = poolOf(connectionString, { max: 4 })
  await pool.query('create table effects (n int, by_whom text)')
  const sql = async <R extends object>(text: string, values: readonly unknown[] = []) =>
    (await pool.query<R>(text, [...values])).rows
  return {
    connect: () =>
      postgresDatabase({ connectionString }).connect({ log: silentLog(), signal: new AbortController().signal }),
    write: (tx: Transaction, effects) => tx.query('insert into effects (n) select unnest($1::int[])', [effects]),
    spoil: (tx: Transaction) => tx.query('select 1 / 0'),
    effects: async () => (await sql<{ n: number }>('select n from effects order by n')).map(({ n }) => n),
    clear: async () => void (await sql('delete from effects')),
    sql,
    session: { id: 'select pg_backend_pid() as id', end: 'select pg_terminate_backend($1::int)' },
    close: async () => {
      await pool.end()
      await drop()
    },
  }
}
