import { afterAll, beforeAll, vi } from 'vitest'
import { type LocalPgbouncer, startPgbouncer } from '../../src/local/pgbouncer.js'
import { pgbouncerProgram } from '../../src/local/pgbouncer-program.js'
import { part } from '../support/parts.js'

/* The contracts of a Postgres, once more through a PgBouncer that lends a connection for one transaction. */

const behind = vi.hoisted(() => ({ pgbouncer: undefined as LocalPgbouncer | undefined }))

vi.mock('../support/fresh-database.js', async (original) => {
  const { freshDatabase } = await original<typeof import('../support/fresh-database.js')>()
  return {
    freshDatabase: async () => {
      const fresh = await freshDatabase()
      const name = new URL(fresh.connectionString).pathname.slice(1)
      return { ...fresh, connectionString: behind.pgbouncer!.urlOf(name) }
    },
  }
})

beforeAll(async () => {
  const { connectionString } = part('postgres')
  behind.pgbouncer = await startPgbouncer(await pgbouncerProgram(), {
    connectionString,
    mode: 'transaction',
    poolSize: 8,
  })
})
afterAll(() => behind.pgbouncer?.server.close())

await import('./store-postgres.test.js')
await import('./progress-postgres.test.js')
await import('./source-postgres.test.js')
