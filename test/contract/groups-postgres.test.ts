import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import { migrate } from '../../src/postgres/tables/migrate.js'
import { migrations } from '../../src/postgres/tables/migrations.js'
import { rowsOf } from '../support/consume.js'
import { emptyDatabase } from '../support/empty-database.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { silentLog } from '../support/silent-log.js'
import { type GroupsHarness, groupsContract } from './groups-contract.js'

describeWith(['postgres'], 'Postgres', () => {
  groupsContract('Postgres', async () => harnessOf(await emptyDatabase()))

  groupsContract('Postgres that serializes transactions by default', async () => {
    const database = await freshDatabase()
    const name = new URL(database.connectionString).pathname.slice(1)
    await rowsOf(database.connectionString, `alter database ${name} set default_transaction_isolation = 'serializable'`)
    return harnessOf(database)
  })

  describe('tables from before there were group records', () => {
    const name = { group: 'payments', stream: 'orders' }
    const ann = { by: 'ann@desk', why: 'bad deploy' }
    let fresh: FreshDatabase
    let pool: pg.Pool

    beforeEach(async () => {
      fresh = await freshDatabase()
      pool = poolOf(fresh.connectionString)
      await migrate(
        pool,
        'tidemark',
        migrations.filter(({ id }) => id < 6),
      )
      await pool.query(`select tidemark.change_offset('payments', 'orders', 3, 'reset', 5, 'ann@desk', 'typo', null)`)
      await pool.query(`select tidemark.change_offset('payments', 'orders', 3, 'skipped', 9, 'policy', 'lost', null)`)
    })
    afterEach(async () => {
      await pool.end()
      await fresh.drop()
    })

    it('keep their history, which goes on behind it', async () => {
      const store = await postgresStore({ connectionString: fresh.connectionString }).connect(context())
      const database = await postgresDatabase({ connectionString: fresh.connectionString }).connect(context())
      try {
        await database.groups.ensure(name, { slices: 16, partitions: [3] })
        await database.groups.pause(name, ann)
        await store.reset({ ...name, partition: 3 }, { kind: 'reset', to: 2n, ...ann })
        const entries = await store.history({ ...name, limit: 10 })
        expect(entries.map(({ partition, kind, from, to, by }) => [partition, kind, from, to, by])).toEqual([
          [3, 'reset', 9n, 2n, 'ann@desk'],
          [null, 'paused', null, null, 'ann@desk'],
          [3, 'skipped', 5n, 9n, 'policy'],
          [3, 'reset', null, 5n, 'ann@desk'],
        ])
      } finally {
        await database.close()
        await store.close()
      }
    })

    it('still take no change of a position without its partition', async () => {
      await migrate(pool, 'tidemark')
      const add = `insert into tidemark.consumer_changes ("group", stream, partition, kind, to_position, by, why)`
      for (const values of [`'a', 'b', null, 'reset', 5, '', ''`, `'a', 'b', 1, 'reset', null, '', ''`])
        await expect(pool.query(`${add} values (${values})`)).rejects.toThrow(/consumer_changes_kind_check/)
    })
  })
})

const context = () => ({ log: silentLog(), signal: new AbortController().signal })

function harnessOf({ connectionString, drop }: FreshDatabase): GroupsHarness {
  let clients = 0
  return {
    connect: () => {
      // Clients with the same options share a pool. Another application name keeps them apart, like processes.
      const own = `${connectionString}?application_name=client-${++clients}`
      return postgresDatabase({ connectionString: own, poolSize: 5 }).connect(context())
    },
    close: drop,
  }
}
