import type pg from 'pg'
import { expect, it, vi } from 'vitest'
import { postgresDatabase } from '../../src/entry/postgres.js'
import { claimFrom } from '../support/claim.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'

// A handler's COMMIT that is not recognised as one.
vi.mock('../../src/postgres/store/statement.js', () => ({ kindOf: () => ({ session: false }) }))

describeWith(['postgres'], 'a handler that ends its transaction unseen', () => {
  it.each(['commit', 'commit; begin', 'rollback; begin'])(
    'by %s is stopped, and its progress does not move',
    async (how) => {
      const { connectionString, drop } = await freshDatabase()
      const signal = new AbortController().signal
      const database = await postgresDatabase({ connectionString }).connect({ log: silentLog(), signal })
      const key = { group: 'payments', stream: 'orders', partition: 0 }
      const token = { epoch: 1, batch: 1, attempt: 1 }
      try {
        await claimFrom(database.progress, key, token, { from: 0n, replay: 0 })
        const chunk = database.progress.transact(key, token, 0n, 10n, async (tx) => {
          await (tx.client as pg.ClientBase).query(how)
        })
        await expect(chunk).rejects.toMatchObject({
          code: 'HANDLER_MISTAKEN',
          message: expect.stringContaining('ended the transaction itself'),
        })
        expect((await database.progress.read(key))?.position).toBe(0n)
      } finally {
        await database.close()
        await drop()
      }
    },
  )
})
