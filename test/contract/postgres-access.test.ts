import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  appendEvents,
  createStream,
  postgresDatabase,
  postgresStore,
  postgresStream,
} from '../../src/entry/postgres.js'
import { type LocalPostgres, startPostgres } from '../../src/local/postgres.js'
import { postgresPrograms } from '../../src/local/postgres-program.js'
import type { DatabaseClient, OffsetStoreClient } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'

const context = () => ({ log: silentLog(), signal: new AbortController().signal })
const key = { group: 'bank', stream: 'orders', partition: 0 }
const token = { epoch: 1, batch: 1, attempt: 1 }

/** Each way in which a config names a Postgres. */
const ways = (connectionString: string) =>
  [
    ['postgresStore', () => postgresStore({ connectionString }).connect(context())],
    ['postgresDatabase', () => postgresDatabase({ connectionString }).connect(context())],
    ['postgresStream', () => postgresStream({ connectionString, stream: 'orders' }).connect(context())],
  ] as const

describeWith(['postgres'], 'a Postgres whose transactions are read-only by default', () => {
  let fresh: FreshDatabase
  let admin: pg.Client

  beforeEach(async () => {
    fresh = await freshDatabase()
    admin = new pg.Client({ connectionString: fresh.connectionString })
    await admin.connect()
    await createStream(fresh.connectionString, { stream: 'orders', partitions: 1 })
  })
  afterEach(async () => {
    await admin.end()
    await fresh.drop()
  })

  const readOnly = (value: 'on' | 'off') =>
    admin.query(
      `alter database ${new URL(fresh.connectionString).pathname.slice(1)} set default_transaction_read_only = ${value}`,
    )

  it('is refused at the start, with the statement that mends it', async () => {
    await readOnly('on')
    for (const [way, connect] of ways(fresh.connectionString))
      await expect(connect(), way).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(
          /^Postgres at \S+\/test_\w+ starts the transactions of user '(\w+)' read-only.+alter role "\1" set default_transaction_read_only = off$/,
        ),
      })
  })

  it('later is an outage, which ends when that is switched off', async () => {
    const store = await postgresStore({ connectionString: fresh.connectionString }).connect(context())
    try {
      await store.migrate()
      await readOnly('on')
      await admin.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      )
      // The first statement may meet a connection that was ended.
      const open = () => store.open(key, { above: 0, start: 0n })
      await open().catch(() => {})
      await expect(open()).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringMatching(
          /\/test_\w+ takes no writes now: .+default_transaction_read_only was switched on/,
        ),
      })
      await readOnly('off')
      expect(await open()).toMatchObject({ epoch: 1 })
    } finally {
      await store.close()
    }
  })
})

describe('a Postgres that is a standby', () => {
  let postgres: LocalPostgres
  let store: OffsetStoreClient
  let database: DatabaseClient
  /** A server that finds this file when it starts follows a primary, and has none here. */
  const signal = () => join(postgres.server.folder, 'data', 'standby.signal')

  beforeAll(async () => {
    postgres = await startPostgres(await postgresPrograms(), { durable: false })
    const { connectionString } = postgres
    await createStream(connectionString, { stream: 'orders', partitions: 1 })
    store = await postgresStore({ connectionString }).connect(context())
    database = await postgresDatabase({ connectionString }).connect(context())
    await claimFrom(database.progress, key, token, { from: 0n, replay: 0 })
    await store.open(key, { above: 0, start: 0n })
    await writeFile(signal(), '')
    await postgres.server.restart()
  })
  afterAll(async () => {
    await store?.close()
    await database?.close()
    await postgres?.server.close()
  })

  it('is refused at the start, and asks for the primary', async () => {
    for (const [way, connect] of ways(postgres.connectionString))
      await expect(connect(), way).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringMatching(/^Postgres at \S+\/postgres is a standby \(a replica\): .+name the primary/),
      })
  })

  it('refuses to append events in the same words as to commit', async () => {
    const append = () => appendEvents(postgres.connectionString, 'orders', [{ key: 'a', value: 1 }])
    await expect(append()).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('takes no writes now'),
    })
  })

  it('where the primary was is an outage of everything, which ends when it is promoted', async () => {
    const effects = [
      ['open', () => store.open(key, { above: 0, start: 0n })],
      ['commit', () => store.commit(key, { epoch: 1, position: 1n })],
      ['claim', () => claimFrom(database.progress, key, { ...token, attempt: 2 }, { from: 0n, replay: 0 })],
      [
        'transact',
        () => database.progress.transact(key, token, 0n, 1n, async (tx) => void (await tx.query('select 1'))),
      ],
    ] as const
    // Connections from before the restart are broken, and each is found out by whoever gets it.
    for (let n = 0; n < 4; n++) await Promise.allSettled(effects.map(([, effect]) => effect()))
    for (const [what, effect] of effects)
      await expect(effect(), what).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringMatching(/takes no writes now: it is a standby/),
      })
    const admin = new pg.Client({ connectionString: postgres.connectionString })
    await admin.connect()
    await admin.query('select pg_promote()')
    await admin.end()
    await rm(signal(), { force: true })
    await database.progress.transact(key, token, 0n, 1n, async (tx) => void (await tx.query('select 1')))
    expect(await database.progress.read(key)).toMatchObject({ position: 1n })
    expect(await store.commit(key, { epoch: 1, position: 1n })).toEqual({ outcome: 'committed' })
  })
})
