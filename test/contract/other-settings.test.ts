import pg from 'pg'
import { vi } from 'vitest'

/*
 * All that Tidemark does in Postgres, once more: in databases whose settings change how values are written and read, and in a process
 * that has changed the driver's parsers.
 */

vi.mock('../support/fresh-database.js', async (original) => {
  const { freshDatabase } = await original<typeof import('../support/fresh-database.js')>()
  const settings = [
    `datestyle = 'German, DMY'`,
    `intervalstyle = 'sql_standard'`,
    'array_nulls = off',
    'extra_float_digits = -15',
    'standard_conforming_strings = off',
    `bytea_output = 'escape'`,
    `timezone = 'Pacific/Chatham'`,
    `search_path = 'public', 'pg_catalog'`,
  ]
  return {
    freshDatabase: async () => {
      const fresh = await freshDatabase()
      const server = new URL(fresh.connectionString)
      const name = server.pathname.slice(1)
      server.pathname = '/postgres'
      const client = new pg.Client({ connectionString: server.href })
      await client.connect()
      for (const setting of settings) await client.query(`alter database ${name} set ${setting}`)
      await client.end()
      return fresh
    },
  }
})

// As programs with a date library of their own do, or with big integers.
for (const oid of [1082, 1114, 1184]) pg.types.setTypeParser(oid, (text) => text)
pg.types.setTypeParser(20, BigInt)
for (const oid of [114, 3802]) pg.types.setTypeParser(oid, (text: string) => text as never)

await import('./store-postgres.test.js')
await import('./groups-postgres.test.js')
await import('./inbox-postgres.test.js')
await import('./progress-postgres.test.js')
await import('./database-postgres.test.js')
await import('./source-postgres.test.js')
