import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  appendEvents,
  createStream,
  postgresDatabase,
  postgresStore,
  postgresStream,
} from '../../src/entry/postgres.js'
import { failedLetter } from '../../src/testing/contracts/letters-owner.js'
import { claimFrom } from '../support/claim.js'
import { docBlocks } from '../support/doc-blocks.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const context = () => ({ log: silentLog(), signal: new AbortController().signal })
const documented = docBlocks('sql').find(({ page }) => page === 'docs/postgres.md')!.text
const key = { group: 'bank', stream: 'orders', partition: 0 }
const token = { epoch: 1, batch: 1, attempt: 1 }
const start = { from: 0n, replay: 0 }

describeWith(['postgres'], "a worker's user of Postgres", () => {
  let fresh: FreshDatabase
  let admin: pg.Client
  let role: string
  let url: string

  beforeEach(async () => {
    fresh = await freshDatabase()
    admin = new pg.Client({ connectionString: fresh.connectionString })
    admin.on('error', () => {})
    await admin.connect()
    role = unique('worker').replaceAll('-', '_')
    await admin.query(`create role ${role} login password 'first'`)
    url = urlOf('first')
  })
  afterEach(async () => {
    await admin.end()
    await fresh.drop()
    const server = new URL(fresh.connectionString)
    server.pathname = '/postgres'
    const client = new pg.Client({ connectionString: server.href })
    await client.connect()
    await client.query(`drop role if exists ${role}`)
    await client.end()
  })

  function urlOf(password: string): string {
    const own = new URL(fresh.connectionString)
    own.username = role
    own.password = password
    return own.href
  }

  /** What docs/postgres.md says. */
  const grant = () => admin.query(documented.replaceAll(/\bworker\b/g, role))
  const database = (connectionString: string) => postgresDatabase({ connectionString }).connect(context())
  const migrated = async () => {
    await createStream(fresh.connectionString, { stream: 'orders', partitions: 1 })
    await grant()
  }

  it('needs no more rights than the documented ones on tables of another role', async () => {
    await migrated()
    const store = await postgresStore({ connectionString: url }).connect(context())
    const own = await database(url)
    const source = await postgresStream({ connectionString: url, stream: 'orders', partitions: 2 }).connect(context())
    try {
      const { progress, groups, changes, partitions, troubles, letters, close: _, ...rest } = own
      expect(Object.keys(rest)).toEqual([])
      await store.migrate()
      const { epoch } = await store.open(key, { above: 0, start: 0n })
      await store.commit(key, { epoch, position: 1n })
      await claimFrom(progress, key, token, start)
      await progress.transact(key, token, 0n, 1n, async (tx) => {
        await tx.query('select 1')
        await progress.outbox!.append(tx, 'orders', [{ key: 'a', value: 1 }])
        await letters.add(tx, key, [failedLetter(0, 'a')])
      })
      await progress.advance(key, token, 1n, 2n)
      await progress.raise(key, { ...token, attempt: 9 })
      await troubles.write(key, token, { replay: 0 })
      const [letter] = await letters.list({}, { limit: 1 })
      await letters.correct(letter!.id, null, 'ann', '')
      await letters.request({}, { what: 'discard', by: 'ann', reason: '' })
      expect([await letters.expire(key, 0, 1), (await letters.parked(key)).nextDue]).toEqual([0, 0])
      await groups.list({})
      await changes.list({ limit: 1 })
      await partitions.note({ ...key, position: 1n, epoch: 1, replay: 0, identity: null })
      await appendEvents(url, 'orders', [{ key: 'b', value: 2 }])
      expect(
        await source.waitForData(0, 0n, AbortSignal.timeout(10_000)).then(() => source.bounds([0, 1])),
      ).toBeDefined()
      expect(await source.resolve(0, 'next')).toBeTypeOf('bigint')
    } finally {
      await store.close()
      await own.close()
      await source.close()
    }
  })

  it('without rights is refused at the start, with the page that lists them', async () => {
    await createStream(fresh.connectionString, { stream: 'orders', partitions: 1 })
    await expect(database(url)).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringMatching(
        new RegExp(
          `^Postgres at \\S+/test_\\w+ refused this user \\(permission denied for schema tidemark\\): give user '${role}' the rights that docs/postgres.md lists$`,
        ),
      ),
    })
  })

  it('that may not create the tables is refused in the same words', async () => {
    await expect(database(url)).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringMatching(/permission denied for database .+ the rights that docs\/postgres\.md lists$/),
    })
  })

  it('whose password is wrong is refused at the start', async () => {
    await expect(database(urlOf('wrong'))).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringMatching(/^Postgres at \S+ refused this user \(.+\): check the user, its password/),
    })
  })

  it.each([
    [
      'its password is changed',
      () => `alter role ${role} password 'second'`,
      () => `alter role ${role} password 'first'`,
    ],
    [
      'it is renamed',
      () => `alter role ${role} rename to ${role}_x`,
      () => `alter role ${role}_x rename to ${role}; alter role ${role} password 'first'`,
    ],
    ['it may not log in', () => `alter role ${role} nologin`, () => `alter role ${role} login`],
  ])("is an outage, and no stop, when %s under a worker, and the stream's log says so", async (_, rotate, mend) => {
    await migrated()
    const own = await database(url)
    const log = silentLog()
    const source = await postgresStream({ connectionString: url, stream: 'orders', pollInterval: '20ms' }).connect({
      ...context(),
      log,
    })
    let attempt = 0
    const claim = () => claimFrom(own.progress, key, { ...token, attempt: ++attempt }, start)
    try {
      void source.waitForData(0, 1n, new AbortController().signal)
      expect(await claim()).toBe(0n)
      await admin.query(rotate())
      const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
      await admin.query(end)
      const refused = () =>
        claim().then(
          () => null,
          (error) => (/lets this user in no longer/.test(error.message) ? error : null),
        )
      expect(await waitFor(refused, { what: 'a new connection to be refused' })).toMatchObject({
        code: 'UNREACHABLE',
        effect: 'retry',
        message: expect.stringMatching(/was its password changed, or the user renamed\? Trying again/),
      })
      await waitFor(() => log.lines.some(({ message }) => /reading event stream .+ is interrupted/.test(message)), {
        what: 'the stream to say so',
      })
      await admin.query(mend())
    } finally {
      await source.close()
      await own.close()
    }
  })
})
