import pg from 'pg'
import { vi } from 'vitest'

/*
 * All that Tidemark does in Postgres, once more: as a user that has not made the tables, and has the rights that docs/postgres.md lists.
 */

vi.mock('../support/fresh-database.js', async (original) => {
  const { freshDatabase } = await original<typeof import('../support/fresh-database.js')>()
  const { createStream } = await import('../../src/entry/postgres.js')
  const role = 'tidemark_other_role'
  return {
    freshDatabase: async () => {
      const fresh = await freshDatabase()
      await createStream(fresh.connectionString, { stream: 'any', partitions: 1 })
      const owner = new pg.Client({ connectionString: fresh.connectionString })
      await owner.connect()
      await owner.query(`create role ${role} login password 'other'`).catch((error) => expectDuplicate(error))
      await owner.query(`
        grant usage on schema tidemark to ${role};
        grant select, insert, update, delete on all tables in schema tidemark to ${role};
      `)
      // For the tests' own tables.
      await owner.query(`grant create on schema public to ${role}`)
      await owner.end()
      const url = new URL(fresh.connectionString)
      url.username = role
      url.password = 'other'
      return { ...fresh, connectionString: url.href }
    },
  }
})

/** Two tests may make the role at once; 23505 is how the slower one hears of it. */
function expectDuplicate(error: unknown): void {
  if (!['42710', '23505'].includes(String(Reflect.get(error as object, 'code')))) throw error
}

await import('./store-postgres.test.js')
await import('./inbox-postgres.test.js')
await import('./progress-postgres.test.js')
await import('./source-postgres.test.js')
