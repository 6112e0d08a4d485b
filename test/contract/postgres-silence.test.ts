import { expect, it } from 'vitest'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import type { DatabaseClient } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { Wire } from '../support/wire.js'

const key = { group: 'billing', stream: 'orders', partition: 0 }
const token = { epoch: 1, batch: 1, attempt: 1 }

describeWith(['postgres'], 'a handler in its transaction', () => {
  it.concurrent('is told within 30 s that nobody answers, where its wire was cut', { timeout: 60_000 }, () =>
    overWire(async (database, wire) => {
      let began = 0
      const failed = database.progress.transact(key, token, 0n, 1n, async (tx) => {
        await tx.query('select 1')
        wire.cut()
        began = performance.now()
        await tx.query('select 2')
      })
      await expect(failed).rejects.toMatchObject({ code: 'UNREACHABLE' })
      expect(performance.now() - began).toBeLessThan(30_000)
    }),
  )

  it.concurrent('may wait for a statement that takes longer than that', { timeout: 90_000 }, () =>
    overWire(async (database) => {
      await database.progress.transact(key, token, 0n, 1n, async (tx) => {
        await tx.query('select pg_sleep(32)')
      })
      expect(await database.progress.read(key)).toMatchObject({ position: 1n })
    }),
  )
})

/** Runs a test with a partition's owner that comes to a database of its own through a wire. */
async function overWire(test: (database: DatabaseClient, wire: Wire) => Promise<void>): Promise<void> {
  const fresh = await freshDatabase()
  const context = { log: silentLog(), signal: new AbortController().signal }
  const url = new URL(fresh.connectionString)
  const wire = await Wire.to(url.host)
  url.host = wire.address
  try {
    const store = await postgresStore({ connectionString: fresh.connectionString }).connect(context)
    await store.migrate()
    await store.open(key, { above: 0, start: 0n })
    await store.close()
    const database = await postgresDatabase({ connectionString: url.href }).connect(context)
    await claimFrom(database.progress, key, token, { from: 0n, replay: 0 })
    try {
      await test(database, wire)
    } finally {
      await wire.close()
      await database.close().catch(() => {})
    }
  } finally {
    await fresh.drop()
  }
}
