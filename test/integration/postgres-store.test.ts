import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import type { FencingToken } from '../../src/model/token.js'
import type { SqlProgressLog, Transaction } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

const context = () => ({ log: silentLog(), signal: new AbortController().signal })
const key = { group: 'payments', stream: 'orders', partition: 3 }
const token: FencingToken = { epoch: 4, batch: 1, attempt: 1 }
const start = { from: 0n, replay: 0 }

describeWith(['postgres'], 'Postgres store and progress', () => {
  let database: FreshDatabase
  let admin: pg.Client
  const open: (() => Promise<unknown>)[] = []

  beforeEach(async () => {
    database = await freshDatabase()
    admin = new pg.Client({ connectionString: database.connectionString })
    admin.on('error', () => {})
    await admin.connect()
    await admin.query('create table effects (n int)')
  })
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close()
    await admin.end()
    await database.drop()
  })

  async function connect(poolSize = 10): Promise<SqlProgressLog> {
    const { connectionString } = database
    const client = await postgresDatabase({ connectionString, poolSize }).connect(context())
    open.push(() => client.close())
    return client.progress
  }

  /** An address of the same server with other parts. */
  function address(change: (url: URL) => void): string {
    const url = new URL(database.connectionString)
    change(url)
    return url.href
  }

  /** Sessions of chunks, as the server names them. */
  const chunks = async () =>
    (
      await admin.query<{ pid: number; name: string; state: string }>(
        `select pid, application_name as name, state from pg_stat_activity
         where datname = current_database() and application_name ~ '^tidemark [0-9a-f]{16} '`,
      )
    ).rows

  describe('a failing chunk', () => {
    test('chunks that lose all connections of the pool at once fail, and the pool works on', async () => {
      const progress = await connect(3)
      const keys = [0, 1, 2].map((partition) => ({ ...key, partition }))
      for (const one of keys) await claimFrom(progress, one, token, start)
      const failures = keys.map((one) =>
        progress
          .transact(one, token, 0n, 1n, async (tx) => {
            await tx.query('select pg_sleep(60)')
          })
          .then(
            () => null,
            (error: unknown) => error,
          ),
      )
      await waitFor(async () => (await chunks()).filter(({ state }) => state === 'active').length === 3, {
        what: 'three chunks at work',
      })
      await admin.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [
        (await chunks()).map(({ pid }) => pid),
      ])
      for (const failure of await Promise.all(failures)) expect(failure).toBeInstanceOf(Error)
      for (const one of keys) await progress.transact(one, token, 0n, 1n, async () => {})
    })

    test("a handler's error comes through although it looks like an outage of Postgres", async () => {
      const progress = await connect()
      await claimFrom(progress, key, token, start)
      for (const message of ['connect ECONNREFUSED 10.0.0.1:80', 'Connection terminated by the payment service']) {
        const mine = Object.assign(new Error(message), { code: 'ECONNREFUSED' })
        const failure = await progress
          .transact(key, token, 0n, 1n, async () => {
            throw mine
          })
          .catch((error: unknown) => error)
        expect(failure).toBe(mine)
      }
    })

    test('a handler that is ended by its successor learns that it is fenced, whatever it threw', async () => {
      const progress = await connect()
      await claimFrom(progress, key, token, start)
      const failure = progress.transact(key, token, 0n, 1n, async (tx) => {
        await claimFrom(progress, key, { ...token, epoch: 5 }, start)
        await tx.query('select 1').catch((error) => {
          throw new Error('wrapped by a library', { cause: error })
        })
      })
      await expect(failure).rejects.toMatchObject({ code: 'FENCED', place: key })
    })

    test('a statement that the driver can not send fails the chunk, also when nobody awaits it', async () => {
      const progress = await connect()
      await claimFrom(progress, key, token, start)
      const circular: Record<string, unknown> = {}
      circular.self = circular
      const failure = progress.transact(key, token, 0n, 1n, async (tx) => {
        await tx.query('insert into effects values (1)')
        void tx.query('insert into effects values ($1)', [circular])
      })
      await expect(failure).rejects.toThrow(/circular/i)
      expect((await admin.query('select * from effects')).rows).toEqual([])
      expect((await progress.read(key))!.position).toBe(0n)
    })

    test('a transaction that can not begin says why, not what became of the statements in it', async () => {
      const progress = await connect()
      await claimFrom(progress, key, token, start)
      await admin.query('drop function tidemark.check_owner')
      const failure = progress.transact(key, token, 0n, 1n, async (tx) => {
        await tx.query('insert into effects values (1)')
      })
      await expect(failure).rejects.toThrow(/check_owner.* does not exist/)
      expect((await admin.query('select * from effects')).rows).toEqual([])
    })

    test('a chunk let go in the middle of a waiting statement ends at once, and so does its session', async () => {
      const progress = await connect()
      await claimFrom(progress, key, token, start)
      await admin.query('insert into effects values (1)')
      // In a session of its own: within a transaction, pg_stat_activity stays as it was at the first look.
      const other = new pg.Client({ connectionString: database.connectionString })
      await other.connect()
      open.push(() => other.end())
      await other.query('begin; lock table effects')
      const stop = new AbortController()
      const failure = progress
        .transact(
          key,
          token,
          0n,
          1n,
          (tx: Transaction) =>
            new Promise<void>((_, reject) => {
              tx.query('update effects set n = 2').catch(() => {})
              stop.signal.addEventListener('abort', () => reject(new Error('the worker stops')))
            }),
        )
        .catch((error: unknown) => error)
      await waitFor(async () => (await chunks()).some(({ state }) => state === 'active'), {
        what: 'the update to wait',
      })
      const started = performance.now()
      stop.abort()
      expect(await failure).toMatchObject({ message: 'the worker stops' })
      expect(performance.now() - started).toBeLessThan(5_000)
      await waitFor(async () => (await chunks()).length === 0, { what: 'the session to end' })
      await other.query('commit')
      expect((await admin.query('select n from effects')).rows).toEqual([{ n: 1 }])
    })
  })

  test('sessions killed at any moment: effects stay exactly the ranges of progress', async () => {
    await admin.query('create table ranges (partition int, n bigint)')
    const progress = await connect(3)
    const end = AbortSignal.timeout(4_000)
    const work = async (partition: number) => {
      const place = { ...key, partition }
      for (let attempt = 1; !end.aborted; attempt++)
        try {
          let from = await claimFrom(progress, place, { ...token, attempt }, start)
          while (!end.aborted) {
            const to = from + 3n
            await progress.transact(place, { ...token, attempt }, from, to, async (tx) => {
              const written = tx.query(
                'insert into ranges select $1, n from generate_series($2::bigint, $3::bigint) n',
                [partition, String(from), String(to - 1n)],
              )
              if (from % 2n === 0n) await written
            })
            from = to
          }
        } catch {
          // Whatever it was, the next attempt goes on from the stored position.
        }
    }
    const kill = async () => {
      while (!end.aborted) {
        await admin.query(
          `select pg_terminate_backend(pid) from (select pid from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1) one`,
        )
        await delay(Math.random() * 20)
      }
    }
    await Promise.all([kill(), ...[0, 1, 2, 3, 4].map(work)])
    const { rows } = await admin.query<{ position: string; all: string; different: string; last: string }>(
      `select p.position, count(n) as all, count(distinct n) as different, max(n) + 1 as last
       from tidemark.consumer_progress p left join ranges r using (partition) group by p.partition, p.position`,
    )
    expect(rows).toHaveLength(5)
    for (const { position, all, different, last } of rows) {
      expect(Number(position)).toBeGreaterThan(0)
      expect([all, different, last]).toEqual([position, position, position])
    }
  })

  test('a late claim leaves the sessions of newer owners alone', async () => {
    const progress = await connect()
    await claimFrom(progress, key, token, start)
    let name = ''
    await progress.transact(key, token, 0n, 1n, async (tx) => {
      const { rows } = await tx.query<{ name: string }>(`select current_setting('application_name') as name`)
      name = rows[0]!.name
    })
    expect(name).toMatch(/^tidemark [0-9a-f]{16} 4\.1\.1$/)
    const sessions = await Promise.all(
      ['4.9.9', '5.2.1', '10.1.1'].map(async (other) => {
        const client = new pg.Client({ connectionString: database.connectionString })
        let ended = false
        client.on('error', () => {
          ended = true
        })
        await client.connect()
        open.push(() => client.end())
        await client.query('select set_config($1, $2, false)', ['application_name', name.replace('4.1.1', other)])
        return { other, ended: () => ended }
      }),
    )
    await claimFrom(progress, key, { epoch: 5, batch: 2, attempt: 1 }, start)
    await waitFor(() => sessions[0]!.ended(), { what: 'the older session to end' })
    await delay(50)
    expect(sessions.map(({ other, ended }) => [other, ended()])).toEqual([
      ['4.9.9', true],
      ['5.2.1', false],
      ['10.1.1', false],
    ])
  })

  describe('connecting', () => {
    test('a wrong password is AUTH_FAILED, and is not shown', async () => {
      const connectionString = address((url) => {
        url.password = 'hunter2'
      })
      const failure = postgresStore({ connectionString }).connect(context())
      await expect(failure).rejects.toMatchObject({ code: 'AUTH_FAILED' })
      await expect(failure).rejects.not.toThrow('hunter2')
    })

    test('a database that does not exist is named', async () => {
      const connectionString = address((url) => {
        url.pathname = '/nowhere'
      })
      await expect(postgresStore({ connectionString }).connect(context())).rejects.toThrow(/no database 'nowhere'/)
    })

    test('nobody at the address is UNREACHABLE, and says where', async () => {
      const connectionString = address((url) => {
        url.port = '1'
      })
      await expect(postgresStore({ connectionString }).connect(context())).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringContaining('127.0.0.1:1'),
      })
    })
  })

  test('a statement that is not answered counts as an outage, and the store works on', async () => {
    const store = await postgresStore({ connectionString: database.connectionString }).connect(context())
    open.push(() => store.close())
    await store.migrate()
    const { epoch } = await store.open(key, { above: 0, start: 0n })
    const other = new pg.Client({ connectionString: database.connectionString })
    await other.connect()
    open.push(() => other.end())
    await other.query('begin; lock table tidemark.consumer_offsets')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const failure = store.commit(key, { epoch, position: 5n }).catch((error: unknown) => error)
      const waits = async () =>
        (
          await admin.query(
            `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
          )
        ).rowCount
      await waitFor(waits, { what: 'the commit to wait' })
      vi.advanceTimersByTime(30_000)
      expect(await failure).toMatchObject({ code: 'UNREACHABLE' })
    } finally {
      vi.useRealTimers()
    }
    await other.query('rollback')
    expect(await store.commit(key, { epoch, position: 5n })).toEqual({ outcome: 'committed' })
  })

  describe('setting up', () => {
    test('by 8 at once where transactions are serializable unless told', async () => {
      const name = new URL(database.connectionString).pathname.slice(1)
      await admin.query(`alter database ${name} set default_transaction_isolation = 'serializable'`)
      const stores = await Promise.all(
        Array.from({ length: 8 }, (_, n) => {
          const connectionString = address((url) => url.searchParams.set('application_name', `process-${n}`))
          return postgresStore({ connectionString }).connect(context())
        }),
      )
      for (const store of stores) open.push(() => store.close())
      await Promise.all(stores.map((store) => store.migrate()))
      await Promise.all(stores.map((store, partition) => store.open({ ...key, partition }, { above: 0, start: 0n })))
      expect(await stores[0]!.read(key.group, key.stream)).toHaveLength(8)
    })

    test('in a schema of any name, beside another one', async () => {
      const { connectionString } = database
      for (const schema of ['My "Schema"', 'tide-mark', 'tidemark']) {
        const store = await postgresStore({ connectionString, schema }).connect(context())
        open.push(() => store.close())
        await store.migrate()
        await store.open(key, { above: 0, start: 5n })
        const { progress } = await postgresDatabase({ connectionString, schema })
          .connect(context())
          .then((client) => {
            open.push(() => client.close())
            return client
          })
        await claimFrom(progress, key, token, start)
        await progress.transact(key, token, 0n, 1n, async () => {})
      }
      const { rows } = await admin.query(`select "offset", position from "My ""Schema""".consumer_offsets`)
      expect(rows).toEqual([{ offset: '4', position: '5' }])
    })

    test("by a user who is named like Tidemark's schema, with a warning: Postgres makes that user's tables there", async () => {
      const { connectionString } = database
      const schema = new URL(connectionString).username
      const warned = async (settings: { readonly schema?: string }) => {
        const warnings: string[] = []
        const log = { ...silentLog(), warn: (_: object, text: string) => void warnings.push(text) }
        const store = await postgresStore({ connectionString, poolSize: 3, ...settings }).connect({ ...context(), log })
        await store.close()
        return warnings
      }
      expect(await warned({ schema })).toEqual([expect.stringContaining(`is named like Tidemark's schema '${schema}'`)])
      expect(await warned({ schema: `${schema}2` })).toEqual([])
    })

    test('by a role that may create nothing but tables in a schema made for it', async () => {
      const role = new URL(database.connectionString).pathname.slice(1)
      await admin.query(`create role ${role} login password 'pw'`)
      open.push(() => admin.query(`drop owned by ${role} cascade; drop role ${role}`))
      await admin.query(`create schema tidemark authorization ${role}`)
      const connectionString = address((url) => {
        url.username = role
        url.password = 'pw'
      })
      const store = await postgresStore({ connectionString }).connect(context())
      open.push(() => store.close())
      await store.migrate()
      const client = await postgresDatabase({ connectionString }).connect(context())
      open.push(() => client.close())
      await claimFrom(client.progress, key, token, start)
      await client.progress.transact(key, token, 0n, 1n, async () => {})
      expect((await client.progress.read(key))!.position).toBe(1n)
    })
  })
})
