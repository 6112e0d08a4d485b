import { postgresDatabase } from '../../src/entry/postgres.js'
import { rowsOf } from '../support/consume.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { type InboxHarness, inboxContract } from './inbox-contract.js'

describeWith(['postgres'], 'Postgres', () => {
  inboxContract('Postgres', async (): Promise<InboxHarness> => {
    const { connectionString, drop } = await emptyDatabase()
    return {
      connect: () =>
        postgresDatabase({ connectionString }).connect({ log: silentLog(), signal: new AbortController().signal }),
      rows: async () => {
        const [row] = await rowsOf<{ n: number }>(
          connectionString,
          'select count(*)::int as n from tidemark.consumer_inbox',
        )
        return row!.n
      },
      close: drop,
    }
  })
})
