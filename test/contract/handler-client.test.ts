import { Readable, type Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createStream, postgresDatabase } from '../../src/entry/postgres.js'
import type { FencingToken } from '../../src/model/token.js'
import type { DatabaseClient, Transaction } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

const token: FencingToken = { epoch: 1, batch: 1, attempt: 1 }
const key = { group: 'payments', stream: 'orders', partition: 0 }
const other = { ...key, partition: 1 }

describeWith(['postgres'], "a handler's database client", () => {
  let url: string
  let drop: () => Promise<void>
  let pool: pg.Pool
  let database: DatabaseClient

  beforeEach(async () => {
    ;({ connectionString: url, drop } = await emptyDatabase())
    pool = poolOf(url, { max: 2 })
    await pool.query('create table effects (n int, note text)')
    database = await connect()
    for (const one of [key, other]) await claimFrom(database.progress, one, token, { from: 0n, replay: 0 })
  })
  afterEach(async () => {
    await database.close()
    await pool.end()
    await drop()
  })

  const connect = (options: { poolSize?: number; schema?: string } = {}) =>
    postgresDatabase({ connectionString: url, poolSize: 1, ...options }).connect({
      log: silentLog(),
      signal: new AbortController().signal,
    })
  const effects = async () => (await pool.query('select n from effects order by n')).rows.map(({ n }) => n as number)
  const position = async (of = key) => (await database.progress.read(of))?.position
  const clientOf = (tx: Transaction) => tx.client as pg.ClientBase
  /** A chunk of ten messages at the partition's position. */
  const chunk = async (work: (client: pg.ClientBase, tx: Transaction) => Promise<unknown>, of = key) => {
    const from = (await position(of))!
    await database.progress.transact(of, token, from, from + 10n, async (tx) => void (await work(clientOf(tx), tx)))
  }
  const failing = (work: (client: pg.ClientBase, tx: Transaction) => Promise<unknown>) =>
    chunk(work).then(
      () => ({ message: 'it was committed' }),
      (error: Error & { code?: string }) => error,
    )
  const insert = (client: pg.ClientBase, n: number) => client.query('insert into effects (n) values ($1)', [n])

  it('does nothing once the chunk is over: branches that outlive a failed Promise.all reach no other transaction', async () => {
    const late: Promise<unknown>[] = []
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const error = await failing(async (client) => {
      late.push(gate.then(() => insert(client, 1)))
      throw new Error('HTTP 500 for the first message')
    })
    expect(error.message).toContain('HTTP 500')
    // The pool has one connection, so this chunk would share it with the branch.
    await chunk(async (client) => {
      await insert(client, 2)
      release()
      await expect(late[0]).rejects.toThrow('the transaction of this chunk is over')
    }, other)
    expect(await effects()).toEqual([2])
    expect([await position(), await position(other)]).toEqual([0n, 10n])
  })

  it('fails for all that is lent: callbacks, cursors and streams, after a chunk that was committed', async () => {
    let kept: pg.ClientBase | undefined
    await chunk(async (client) => {
      kept = client
      await insert(client, 1)
    })
    const over = 'the transaction of this chunk is over'
    await expect(kept!.query('select 1')).rejects.toThrow(over)
    const called = new Promise((resolve) => kept!.query('select 1', (error) => resolve(error)))
    expect(await called).toMatchObject({ message: expect.stringContaining(over) })
    await expect(kept!.query(new Cursor('select 1')).read(1)).rejects.toThrow(over)
    await expect(text(kept!.query(copyTo('copy effects to stdout')))).rejects.toThrow(over)
    await expect(kept!.query(new QueryStream('select 1')).toArray()).rejects.toThrow(over)
    expect(await effects()).toEqual([1])
  })

  it('is on a connection that nobody gets after a failure', async () => {
    const pids: number[] = []
    const note = async (client: pg.ClientBase) =>
      pids.push((await client.query('select pg_backend_pid() as pid')).rows[0].pid)
    await chunk(note)
    await chunk(note)
    await failing(async (client) => {
      await note(client)
      throw new Error('no')
    })
    await chunk(note)
    expect(pids[0]).toBe(pids[1])
    expect(pids[1]).toBe(pids[2])
    expect(pids[3]).not.toBe(pids[2])
  })

  it('leaves no listener behind on the connection', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    // Node warns of a leak from eleven listeners on.
    for (let n = 0; n < 12; n++)
      await chunk(async (client) => {
        client.on('notice', () => {})
        await client.query('select 1')
      })
    await new Promise(setImmediate)
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it("makes savepoints of an ORM's transaction(): a chunk that fails after it writes nothing", async () => {
    const orm = async (client: pg.ClientBase, n: number) => {
      await client.query('begin')
      await insert(client, n)
      await client.query('commit')
    }
    const error = await failing(async (client) => {
      await orm(client, 1)
      throw new Error('later')
    })
    expect(error.message).toContain('later')
    expect(await effects()).toEqual([])
    await chunk(async (client) => {
      await orm(client, 2)
      await client.query('BEGIN TRANSACTION;')
      await client.query('start transaction')
      await insert(client, 4)
      await client.query('commit')
      await client.query('COMMIT')
      await client.query('begin')
      await insert(client, 3)
      await client.query('rollback')
      await client.query('begin')
      await client.query('select 1 / 0').catch(() => {})
      await client.query('rollback')
    })
    expect(await effects()).toEqual([2, 4])
  })

  it('refuses a rollback among two transactions that are open at once: it may take back what the other one wrote', async () => {
    const error = await failing(async (client) => {
      await client.query('begin')
      await client.query('begin')
      await insert(client, 1)
      await client.query('rollback')
      await client.query('commit')
    })
    expect(error).toMatchObject({ code: 'HANDLER_MISTAKEN', message: expect.stringContaining('open at once') })
    // Where the handler fails anyway, its own error decides.
    const own = await failing(async (client) => {
      await client.query('begin')
      await client.query('begin')
      await client.query('rollback')
      throw new Error('HTTP 500')
    })
    expect(own.message).toContain('HTTP 500')
    expect(await effects()).toEqual([])
  })

  it.each([['-- note\rcommit'], ['select 1 as 😀$$; commit; --$$'], ["select $😀$ ' $😀$; commit; --'"]])(
    'finds the commit in %j',
    async (text) => {
      const error = await failing(async (client) => {
        await insert(client, 1)
        await client.query(text)
      })
      expect(error).toMatchObject({ code: 'HANDLER_MISTAKEN', message: expect.stringContaining('it sends COMMIT') })
      expect(await effects()).toEqual([])
    },
  )

  it('sends the text that it has looked at, also of objects that have another one the next time', async () => {
    const texts = ['select 1', 'commit']
    const getter = {
      values: [],
      get text() {
        return texts.length > 1 ? texts.shift()! : texts[0]!
      },
    }
    await failing(async (client) => {
      await insert(client, 1)
      await client.query(getter)
      throw new Error('later')
    })
    const error = await failing(async (client) => {
      await insert(client, 1)
      const cursor = client.query(new Cursor('select 1'))
      const waiting = new pg.Query('select 1') as unknown as pg.Submittable & { text: string }
      client.query(waiting)
      waiting.text = 'commit'
      await cursor.read(5)
    })
    expect(error).toMatchObject({ code: 'HANDLER_MISTAKEN', message: expect.stringContaining('changes the text') })
    expect(await effects()).toEqual([])
  })

  it('takes queries of a class, as tagged templates make them', async () => {
    class Template {
      readonly values = [1]
      get text() {
        return 'insert into effects (n) values ($1)'
      }
    }
    await chunk((client) => client.query(new Template()))
    expect(await effects()).toEqual([1])
  })

  it('may close a cursor and destroy a stream before they were sent', async () => {
    await chunk(async (client) => {
      const cursor = client.query(new Cursor('select n from generate_series(1, 10) n'))
      await cursor.close()
      const rows = client.query(new QueryStream('select n from generate_series(1, 1000) n'))
      rows.destroy()
      await insert(client, 1)
    })
    expect(await effects()).toEqual([1])
  })

  it('ends no process, whatever nobody listens to, awaits or catches; the chunk fails instead', async () => {
    const crashes: unknown[] = []
    const crash = (error: unknown) => crashes.push(error)
    const kinds = ['uncaughtException', 'unhandledRejection'] as const
    const others = kinds.map((kind) => process.listeners(kind as 'exit'))
    for (const kind of kinds) process.removeAllListeners(kind).on(kind, crash)
    const thrown = () => {
      throw new Error('from a callback')
    }
    const query = (text: string) => new pg.Query(text) as unknown as pg.Submittable & NodeJS.EventEmitter
    const done = (client: pg.ClientBase) => client.query('select 1')
    let copy: Writable | undefined
    const careless: [string, (client: pg.ClientBase, tx: Transaction) => Promise<unknown>][] = [
      ['division by zero', async (client) => void client.query('select 1 / 0')],
      ['does not exist', async (_client, tx) => void tx.copy('nothing', ['n'], [[1]])],
      ['lone surrogate', async (_client, tx) => void tx.copy('effects', ['note'], [['\ud800']])],
      [
        'has no stream',
        async (_client, tx) => {
          void database.progress.outbox!.append(tx, 'nothing', [{ value: 1 }])
        },
      ],
      ['it sends COMMIT', async (client) => void client.query('commit')],
      ['from a callback', async (client) => client.query('select 1', thrown)],
      [
        'from a callback',
        async (client) =>
          done(client.on('notice', thrown)).then(() => client.query("do $$ begin raise notice 'a'; end $$")),
      ],
      ['from a callback', async (client) => client.query(query('select 1').on('row', thrown) as never)],
      ['division by zero', async (client) => client.query(query('select 1 / 0'))],
      ['division by zero', async (client) => client.query(new QueryStream('select 1 / 0')).on('data', () => {})],
      [
        'destroy',
        async (client) => done(client).then(() => client.query(copyFrom('copy effects from stdin')).destroy()),
      ],
      [
        'HTTP 500',
        async (client) => {
          copy = client.query(copyFrom('copy effects from stdin'))
          copy.write('1\tx\n')
          await new Promise(setImmediate)
          throw new Error('HTTP 500')
        },
      ],
    ]
    try {
      await createStream(url, { stream: 'shipments', partitions: 1 })
      for (const [why, work] of careless) expect((await failing(work)).message).toContain(why)
      copy?.end('2\ty\n')
      let kept: pg.ClientBase | undefined
      await chunk(async (client) => {
        kept = client
      })
      void kept!.query('select 1')
      kept!.query('select 1', thrown)
      kept!.query(query('select 1'))
      kept!.query(new QueryStream('select 1')).on('data', () => {})
      await chunk((client) => insert(client, 2))
      await new Promise((resolve) => setTimeout(resolve))
    } finally {
      kinds.forEach((kind, at) => {
        process.removeAllListeners(kind)
        for (const one of others[at]!) process.on(kind, one)
      })
    }
    expect(crashes).toEqual([])
    expect(await effects()).toEqual([2])
  }, 30_000)

  it.each(['discard all', 'set transaction isolation level serializable', 'vacuum effects'])(
    'stops the partition for %s, which no transaction of a chunk can do at any try',
    async (text) => {
      const error = await failing((client) => client.query(text))
      expect(error).toMatchObject({
        code: 'HANDLER_MISTAKEN',
        message: expect.stringContaining("can't be done in the transaction of a chunk"),
      })
    },
  )

  it('appends events to a stream in a handler that has given up its rights and its search_path', async () => {
    const role = `events_${process.pid}`
    await createStream(url, { stream: 'shipments', partitions: 1 })
    await pool.query(`create role ${role}; grant insert on effects to ${role}`)
    try {
      const pids: number[] = []
      for (let n = 0; n < 2; n++)
        await chunk(async (client, tx) => {
          await client.query(`set local role ${role}`)
          await client.query('set local search_path = public, pg_catalog')
          await Promise.all([
            database.progress.outbox!.append(tx, 'shipments', [{ key: 'a', type: 'sent', value: n }]),
            client.query("insert into effects select 1 where current_user like 'events%'"),
          ])
          const { rows } = await client.query(
            "select current_user as name, current_setting('search_path') as path, pg_backend_pid() as pid",
          )
          expect(rows[0]).toMatchObject({ name: role, path: 'public, pg_catalog' })
          pids.push(rows[0].pid)
        })
      expect(pids[1]).toBe(pids[0])
      expect(await effects()).toEqual([1, 1])
      expect((await pool.query('select data from tidemark.events')).rows).toEqual([{ data: 0 }, { data: 1 }])
    } finally {
      await pool.query(`drop owned by ${role}; drop role ${role}`)
    }
  })

  it.each([
    ['commit', 'it sends COMMIT'],
    ['rollback', 'it sends ROLLBACK'],
    ['insert into effects values (1); commit', 'send each statement by itself'],
    ['begin isolation level serializable', 'default_transaction_isolation'],
    ["set client_encoding to 'latin1'", 'UTF-8 only'],
  ])(
    'refuses %s before it does harm, and stops the partition, also where the handler catches the error',
    async (text, why) => {
      for (const swallow of [false, true]) {
        const error = await failing(async (client) => {
          await insert(client, 1)
          const refused = client.query(text)
          await (swallow ? refused.catch(() => {}) : refused)
        })
        expect(error).toMatchObject({ code: 'HANDLER_MISTAKEN', effect: 'stop', message: expect.stringContaining(why) })
        expect(error.message).toContain('orders[0] offset 0')
      }
      expect(await effects()).toEqual([])
      expect(await position()).toBe(0n)
    },
  )

  it('can use cursors, streams and COPY both ways, among other statements', async () => {
    await chunk(async (client) => {
      await Promise.all([insert(client, 1), insert(client, 2)])
      const cursor = client.query(new Cursor('select n from effects order by n'))
      const waiting = insert(client, 3)
      expect(await cursor.read(1)).toEqual([{ n: 1 }])
      expect(await cursor.read(5)).toEqual([{ n: 2 }])
      await cursor.close()
      await waiting
      const rows = client.query(new QueryStream('select n from effects order by n', [], { batchSize: 1 }))
      const read: number[] = []
      for await (const { n } of rows) {
        read.push(n as number)
        if (read.length === 2) break
      }
      expect(read).toEqual([1, 2])
      await pipeline(Readable.from(['4\tfour\n', '5\tfive\n']), client.query(copyFrom('copy effects from stdin')))
      expect(await text(client.query(copyTo('copy (select n from effects where n > 3 order by n) to stdout')))).toBe(
        '4\n5\n',
      )
      expect((await client.query('select count(*)::int as n from effects')).rows).toEqual([{ n: 5 }])
    })
    // The connection pipelines again.
    await chunk((client) => Promise.all([insert(client, 6), insert(client, 7)]))
    expect(await effects()).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('takes everything back when a cursor, a stream or a COPY fails', async () => {
    const broken: ((client: pg.ClientBase) => Promise<unknown>)[] = [
      (client) => client.query(new Cursor('select 1 / 0')).read(1),
      (client) => client.query(new QueryStream('select n / 0 from effects')).toArray(),
      (client) => pipeline(Readable.from(['no number\n']), client.query(copyFrom('copy effects from stdin'))),
      (client) => text(client.query(copyTo('copy nothing to stdout'))),
    ]
    for (const work of broken) {
      const error = await failing(async (client) => {
        await insert(client, 1)
        await work(client)
      })
      expect(error.message).toMatch(/division by zero|invalid input syntax|does not exist/)
      const swallowed = await failing(async (client) => {
        await insert(client, 1)
        await work(client).catch(() => {})
      })
      expect(swallowed.message).toMatch(/division by zero|invalid input syntax|does not exist/)
    }
    expect(await effects()).toEqual([])
    await chunk((client) => insert(client, 2))
    expect(await effects()).toEqual([2])
  })

  it('refuses a cursor that is left open', async () => {
    const error = await failing(async (client) => {
      await insert(client, 1)
      await client.query(new Cursor('select n from generate_series(1, 10) n')).read(1)
    })
    expect(error).toMatchObject({
      code: 'HANDLER_MISTAKEN',
      message: expect.stringContaining('without closing a cursor'),
    })
    expect(await effects()).toEqual([])
  }, 20_000)

  it('copies rows: values mean what they mean as parameters', async () => {
    await pool.query(
      'create table public.kinds (t text, i int, b bigint, f float8, d timestamptz, j jsonb, a text[], y bytea, o bool, "Odd ""name" text)',
    )
    const columns = ['t', 'i', 'b', 'f', 'd', 'j', 'a', 'y', 'o', 'Odd "name']
    const values = [
      [
        'tab\t line\nreturn\r back\\slash \\N',
        1,
        2n ** 62n,
        1e-300,
        new Date(0),
        { a: ['"\\'] },
        ['x,"y', null, '\\'],
        Buffer.from([0, 255, 92]),
        true,
        'é😀',
      ],
      [null, undefined, null, Number.NaN, null, null, [], null, false, ''],
    ]
    await chunk(async (_client, tx) => {
      expect(await tx.copy('public.kinds', columns, values)).toBe(2)
      const quoted = columns.map((name) => pg.escapeIdentifier(name)).join(', ')
      for (const row of values)
        await tx.query(`insert into public.kinds (${quoted}) values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`, row)
      expect(await tx.copy(['public', 'kinds'], ['i'], [])).toBe(0)
    })
    const { rows } = await pool.query(
      'select distinct *, count(*) over (partition by kinds)::int as times from public.kinds kinds',
    )
    expect(rows.map(({ times }) => times)).toEqual([2, 2])
    expect((await pool.query('select t from public.kinds where i = 1 limit 1')).rows[0].t).toBe(values[0]![0])
  })

  it('names the row and the column of a value that Postgres cannot hold, before anything is sent', async () => {
    for (const [value, what] of [
      ['a\0b', 'U+0000'],
      ['\ud800', 'lone surrogate'],
    ] as const) {
      const error = await failing((_client, tx) =>
        tx.copy(
          'effects',
          ['n', 'note'],
          [
            [1, 'fine'],
            [2, value],
          ],
        ),
      )
      expect(error.message).toContain(`row 1, column note`)
      expect(error.message).toContain(what)
    }
    expect((await failing((_client, tx) => tx.copy('effects', ['n', 'note'], [[1]]))).message).toContain(
      '1 values for 2 columns',
    )
    expect(await effects()).toEqual([])
  })

  it('a COPY that fails fails the chunk: what follows it on the wire is thrown away', async () => {
    for (const [table, rows, why] of [
      ['nothing', [[1]], 'does not exist'],
      ['effects', [[1], ['no number']], 'invalid input syntax'],
    ] as const) {
      const error = await failing(async (client, tx) => {
        const copied = tx.copy(table, ['n'], rows)
        const behind = insert(client, 5)
        await Promise.all([copied, behind.catch(() => {})])
      })
      expect(error.message).toContain(why)
    }
    await chunk((_client, tx) => tx.copy('effects', ['n'], [[6]]))
    expect(await effects()).toEqual([6])
  })

  it("Tidemark's own statements mean the same whatever the handler sets, and so does the handler's commit", async () => {
    const role = `handler_${pg.escapeIdentifier(key.group).slice(1, 4)}_${process.pid}`
    await pool.query(`create role ${role}; grant insert, select on effects to ${role}`)
    await pool.query(`create table public.seen (what text); grant insert on public.seen to ${role};
      create function public.note_settings() returns trigger language plpgsql as $$
      begin insert into public.seen values (current_user || ' ' || current_setting('search_path')); return null; end $$;
      create constraint trigger at_commit after insert on effects deferrable initially deferred
        for each row execute function public.note_settings()`)
    try {
      const settings = [
        `set local role ${role}`,
        "set local search_path = ''",
        'set local datestyle = "German, DMY"',
        'set local array_nulls = off',
        'set local extra_float_digits = -10',
        'set local standard_conforming_strings = off',
        "set local intervalstyle = 'iso_8601'",
        "set local bytea_output = 'escape'",
      ]
      await chunk(async (client) => {
        for (const setting of settings) await client.query(setting)
        await client.query('insert into public.effects (n) values (1)')
      })
      await chunk((client) => insert(client, 2))
      expect(await effects()).toEqual([1, 2])
      expect(await position()).toBe(20n)
      const { rows } = await pool.query('select what from public.seen')
      expect(rows.map(({ what }) => what)).toContain(`${role} ""`)
    } finally {
      await pool.query(`drop owned by ${role}; drop role ${role}`)
    }
  })

  it('what a handler sets for the session does not reach the next chunk', async () => {
    await chunk(async (client) => {
      await client.query("set search_path = 'nowhere'")
      await client.query('select pg_advisory_lock(7)')
      await client.query('create temp table scratch (n int)')
      client.setTypeParser(20, (value: string) => Number(value))
      expect((await client.query('select 5::bigint as n')).rows).toEqual([{ n: 5 }])
    })
    await chunk(async (client) => {
      expect((await client.query('select 5::bigint as n')).rows).toEqual([{ n: '5' }])
      expect((await client.query("select to_regclass('scratch') as scratch")).rows).toEqual([{ scratch: null }])
      await insert(client, 1)
    })
    await waitFor(
      async () => (await pool.query('select 1 from pg_locks where locktype = $1', ['advisory'])).rowCount === 0,
      { what: 'the lock of the session to be gone' },
    )
    expect(await effects()).toEqual([1])
  })

  it('two deployments in one database, each with a schema, do not end each other’s chunks', async () => {
    const staging = await connect({ schema: 'staging', poolSize: 2 })
    try {
      await chunk(async (client) => {
        await insert(client, 1)
        await claimFrom(staging.progress, key, { epoch: 9, batch: 1, attempt: 1 }, { from: 0n, replay: 0 })
        await insert(client, 2)
      })
      expect(await effects()).toEqual([1, 2])
    } finally {
      await staging.close()
    }
  })
})
