import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { appendEvents, createStream, postgresDatabase, postgresStream } from '../../src/entry/postgres.js'
import { type LocalPgbouncer, startPgbouncer } from '../../src/local/pgbouncer.js'
import { pgbouncerProgram } from '../../src/local/pgbouncer-program.js'
import type { SourceClient } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

const key = { group: 'bank', stream: 'orders', partition: 0 }
const older = { epoch: 1, batch: 1, attempt: 1 }
const newer = { epoch: 2, batch: 1, attempt: 1 }
/** No poll within a test: only a notification tells of an event in time. */
const never = '1h'
const polling = /notifications don't pass through it, so new events are found by polling every \d+ ms/

describeWith(['postgres'], 'PgBouncer', () => {
  let transactions: LocalPgbouncer
  let sessions: LocalPgbouncer
  let fresh: FreshDatabase
  let name: string

  beforeAll(async () => {
    const program = await pgbouncerProgram()
    const { connectionString } = part('postgres')
    const start = (mode: 'transaction' | 'session') => startPgbouncer(program, { connectionString, mode, poolSize: 10 })
    ;[transactions, sessions] = await Promise.all([start('transaction'), start('session')])
  })
  afterAll(() => Promise.all([transactions, sessions].map((one) => one?.server.close())))

  beforeEach(async () => {
    fresh = await freshDatabase()
    name = new URL(fresh.connectionString).pathname.slice(1)
    await createStream(fresh.connectionString, { stream: 'orders', partitions: 1 })
  })
  afterEach(() => fresh.drop())

  /** Waits at the end of the stream, appends an event and tells whether the wait ended. */
  async function consume(connectionString: string, pollInterval: string, log = silentLog()) {
    const signal = new AbortController().signal
    const source: SourceClient<unknown> = await postgresStream({
      connectionString,
      stream: 'orders',
      pollInterval: pollInterval as '1h',
    }).connect({ log, signal })
    const waiting = source.waitForData(0, 1n, signal)
    return { source, waiting, log }
  }
  const append = () => appendEvents(fresh.connectionString, 'orders', [{ key: 'a', value: 1 }])
  const listeners = async () => {
    const client = new pg.Client({ connectionString: fresh.connectionString })
    await client.connect()
    const { rowCount } = await client.query(
      `select from pg_stat_activity where datname = current_database() and query like 'listen%'`,
    )
    await client.end()
    return rowCount
  }

  it('in transaction mode makes a stream poll, which says so once and what to do', async () => {
    const { source, waiting, log } = await consume(transactions.urlOf(name), '50ms')
    try {
      const said = () => log.lines.filter(({ level, message }) => level === 'warn' && polling.test(message))
      await waitFor(() => said().length > 0, { what: 'the warning' })
      await append()
      expect(await waiting).toBe(true)
      expect(said()).toHaveLength(1)
      expect(await listeners()).toBe(0)
    } finally {
      await source.close()
    }
  })

  it.each(['session mode', 'nothing between'])('%s lets a stream hear of events at once', async (way) => {
    const { source, waiting, log } = await consume(
      way === 'session mode' ? sessions.urlOf(name) : fresh.connectionString,
      never,
    )
    try {
      await waitFor(async () => (await listeners()) === 1, { what: 'the listener' })
      await append()
      expect(await waiting).toBe(true)
      expect(log.lines.filter(({ message }) => polling.test(message))).toEqual([])
    } finally {
      await source.close()
    }
  })

  it('in transaction mode lets a new owner end the transaction of a frozen one', async () => {
    const connect = () =>
      postgresDatabase({ connectionString: transactions.urlOf(name) }).connect({
        log: silentLog(),
        signal: new AbortController().signal,
      })
    const database = await connect()
    try {
      const { progress } = database
      await claimFrom(progress, key, older, { from: 0n, replay: 0 })
      let locked = () => {}
      const holds = new Promise<void>((resolve) => {
        locked = resolve
      })
      const ends = new AbortController()
      const frozen = progress.transact(key, older, 0n, 1n, async (tx) => {
        await tx.query('create table held (n int)')
        locked()
        await new Promise((resolve) => ends.signal.addEventListener('abort', resolve))
      })
      const outcome = frozen.catch((error) => error)
      await holds
      await claimFrom(progress, key, newer, { from: 0n, replay: 0 })
      const admin = new pg.Client({ connectionString: fresh.connectionString })
      await admin.connect()
      const open = `select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`
      await waitFor(async () => (await admin.query(open)).rowCount === 0, { what: 'the older transaction to end' })
      await admin.end()
      ends.abort()
      expect(await outcome).toMatchObject({ code: 'FENCED' })
      expect(await progress.read(key)).toMatchObject({ position: 0n, token: newer })
    } finally {
      await database.close()
    }
  })
})
