import * as vitest from 'vitest'
import { postgresDatabase } from '../../src/entry/postgres.js'
import { verifyDatabase } from '../../src/testing/contracts/database.js'
import type { DatabaseHarness } from '../../src/testing/contracts/database-harness.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'

describeWith(['postgres'], 'Postgres', () => {
  verifyDatabase(vitest, 'Postgres', async (): Promise<DatabaseHarness> => {
    const { connectionString, drop } = await emptyDatabase()
    let clients = 0
    return {
      connect: () => {
        // Clients with the same options share a pool; another application name keeps these apart, as processes are.
        const own = `${connectionString}?application_name=client-${++clients}`
        return postgresDatabase({ connectionString: own }).connect({
          log: silentLog(),
          signal: new AbortController().signal,
        })
      },
      close: drop,
    }
  })
})
