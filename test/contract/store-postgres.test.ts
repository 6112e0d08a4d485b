import pg from 'pg'
import * as vitest from 'vitest'
import { postgresStore } from '../../src/entry/postgres.js'
import { verifyStore } from '../../src/testing/contracts/store.js'
import type { StoreHarness } from '../../src/testing/contracts/store-harness.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'

describeWith(['postgres'], 'Postgres', () => {
  const open = async (): Promise<StoreHarness> => {
    const { connectionString, drop } = await emptyDatabase()
    let clients = 0
    return {
      connect: () => {
        // Clients with the same options share a pool; another application name keeps these apart, as processes are.
        const own = `${connectionString}?application_name=client-${++clients}`
        return postgresStore({ connectionString: own }).connect({
          log: silentLog(),
          signal: new AbortController().signal,
        })
      },
      changeByNewerTidemark: async () => {
        const client = new pg.Client({ connectionString })
        await client.connect()
        await client.query(
          `insert into tidemark.migrations (id, name, breaking) values (9999, 'from the future', true)`,
        )
        await client.end()
      },
      close: drop,
    }
  }
  verifyStore(vitest, 'Postgres', open)
})
