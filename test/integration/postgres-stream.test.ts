import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { appendEvents, createStream, postgresStream } from '../../src/entry/postgres.js'
import { startStack } from '../../src/local/stack.js'
import type { Chunk, Log, Message, Reader, SourceClient } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { waitFor } from '../support/wait-for.js'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const stream = 'orders'

describeWith(['postgres'], 'a Postgres event stream', () => {
  let database: FreshDatabase
  let pool: pg.Pool
  let ended: AbortController
  const open: (() => Promise<unknown>)[] = []
  const held = new Set<pg.PoolClient>()

  beforeEach(async () => {
    database = await freshDatabase()
    pool = poolOf(database.connectionString, { max: 40 })
    ended = new AbortController()
  })

  afterEach(async () => {
    ended.abort()
    for (const close of open.splice(0).reverse()) await close()
    // A test that fails must not leave its transactions to the next one.
    for (const client of held) client.release(true)
    held.clear()
    await pool.end()
    await database.drop()
  })

  async function connect(
    connectionString = database.connectionString,
    log = silent,
  ): Promise<SourceClient<{ n: number }>> {
    const source = postgresStream<{ n: number }>({ connectionString, stream })
    const client = await source.connect({ log, signal: ended.signal })
    open.push(() => client.close())
    return client
  }

  function follow(client: SourceClient<{ n: number }>, partition = 0, from = 0n): Reader<{ n: number }> {
    const key = { group: 'test', stream, partition }
    const budget = new SharedBudget(64 * 1024 * 1024)
    return client.read(from, { key, replay: 0, fetchBytes: 64 * 1024, budget, signal: ended.signal })
  }

  /** Begins a transaction and takes its transaction id. */
  async function begin(): Promise<pg.PoolClient> {
    const client = await pool.connect()
    held.add(client)
    await client.query('begin')
    await client.query('select pg_current_xact_id()')
    return client
  }

  async function end(client: pg.PoolClient, how: 'commit' | 'rollback' = 'commit'): Promise<void> {
    await client.query(how)
    held.delete(client)
    client.release()
  }

  const one = (n: number) => [{ key: 'k', value: { n } }]
  const numbers = (messages: readonly Message<{ n: number }>[]) => messages.map(({ value }) => value.n)

  test('an event that takes its position first and commits last is not lost', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const client = await connect()
    const reader = follow(client)
    // A gets the lower transaction id, B the lower position: "read below the oldest transaction" passes B.
    const a = await begin()
    const b = await begin()
    await appendEvents(b, stream, one(1))
    await appendEvents(a, stream, one(2))
    await end(a)
    // A look of each kind after A's commit, and nothing of it is handed out.
    expect(await reader.next({ maxMessages: 10, waitMs: 300 })).toBeNull()
    expect((await client.bounds([0])).get(0)).toEqual({ first: 2n, head: 3n })
    await end(b)
    expect(numbers(await read(reader, 2))).toEqual([1, 2])
  })

  test('starting at the next event does not pass one that is being appended', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const client = await connect()
    await appendEvents(pool, stream, one(1))
    const long = await begin()
    await appendEvents(long, stream, one(2))
    await appendEvents(pool, stream, one(3))
    const from = { next: await client.resolve(0, 'next'), last: await client.resolve(0, 'last') }
    await end(long)
    expect(numbers(await read(follow(client, 0, from.next), 2))).toEqual([2, 3])
    expect(numbers(await read(follow(client, 0, from.last), 3))).toEqual([1, 2, 3])
  })

  describe('a log that was set back, as by a fail-over to a replica that lags', () => {
    /** Takes back the events behind 80 of 100, and the sequence. */
    async function setBack(): Promise<void> {
      await pool.query('delete from tidemark.events where position > 80')
      await pool.query(`select setval('tidemark.events_position_seq', 80)`)
    }
    const hundred = Array.from({ length: 100 }, (_, n) => ({ key: 'k', value: { n } }))

    test('ends a reader that waits beyond its end, so that it begins again at its progress', async () => {
      await createStream(pool, { stream, partitions: 1 })
      await appendEvents(pool, stream, hundred)
      const client = await connect()
      const reader = follow(client)
      expect(await read(reader, 100)).toHaveLength(100)
      const next = reader.next({ maxMessages: 10, waitMs: 20_000 })
      await setBack()
      await expect(next).rejects.toThrow(
        `${stream}[0] was set back: its last position is 80, and 101 was the next to be read`,
      )
      await appendEvents(pool, stream, one(81))
      expect(numbers(await read(follow(client, 0, 81n), 1))).toEqual([81])
    })

    test('wakes whoever waits for data beyond its end', async () => {
      await createStream(pool, { stream, partitions: 1 })
      await appendEvents(pool, stream, hundred)
      const client = await connect()
      const arrived = client.waitForData(0, 101n, ended.signal)
      await setBack()
      expect(await arrived).toBe(true)
    })

    test('is out of range for a reader that begins beyond its end', async () => {
      await createStream(pool, { stream, partitions: 1 })
      await appendEvents(pool, stream, hundred)
      await setBack()
      const next = follow(await connect(), 0, 101n).next({ maxMessages: 10, waitMs: 5_000 })
      await expect(next).rejects.toMatchObject({ code: 'OUT_OF_RANGE' })
    })

    test.each(['another server', 'this server'])('loses no event whose position %s had called safe', async (which) => {
      await createStream(pool, { stream, partitions: 1 })
      await appendEvents(pool, stream, hundred)
      const client = await connect()
      const before = follow(client)
      expect(await read(before, 100)).toHaveLength(100)
      // Nobody waits, so nobody looks.
      await before.close()
      await setBack()
      const slow = await begin()
      await appendEvents(slow, stream, one(81))
      for (let n = 82; n < 90; n++) await appendEvents(pool, stream, one(n))
      const slower = await begin()
      await appendEvents(slower, stream, one(90))
      // By the time that anybody looks, the new server has given more positions than the old one.
      for (let n = 91; n < 140; n++) await appendEvents(pool, stream, one(n))
      if (which === 'another server')
        await pool.query(
          `create or replace function tidemark.log_server() returns text language sql as $$ select 'another' $$`,
        )
      const reader = follow(client, 0, 81n)
      expect(await reader.next({ maxMessages: 10, waitMs: 300 })).toBeNull()
      await end(slow)
      expect(numbers(await read(reader, 9))).toEqual([81, 82, 83, 84, 85, 86, 87, 88, 89])
      expect(await reader.next({ maxMessages: 10, waitMs: 300 })).toBeNull()
      await end(slower)
      expect(numbers(await read(reader, 50))).toEqual(Array.from({ length: 50 }, (_, n) => 90 + n))
    })
  })

  test('a long transaction that appends nothing holds nobody back', async () => {
    await createStream(pool, { stream, partitions: 1 })
    await pool.query('create table other (n int)')
    const reader = follow(await connect())
    const unrelated = await begin()
    await unrelated.query('insert into other values (1)')
    await appendEvents(pool, stream, one(1))
    expect(numbers(await read(reader, 1))).toEqual([1])
    await end(unrelated)
  })

  test('a long append holds back what comes after it, until it is rolled back', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const reader = follow(await connect())
    await appendEvents(pool, stream, one(1))
    const long = await begin()
    await appendEvents(long, stream, one(2))
    await appendEvents(pool, stream, one(3))
    expect(numbers(await read(reader, 1))).toEqual([1])
    expect(await reader.next({ maxMessages: 10, waitMs: 300 })).toBeNull()
    await end(long, 'rollback')
    expect(numbers(await read(reader, 1))).toEqual([3])
  })

  test('a transaction announces once, and again after rolling back to a savepoint', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const announced = async () => {
      const { rows } = await pool.query(
        `select count(*)::int as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'`,
      )
      return rows[0].n
    }
    const writer = await begin()
    await appendEvents(writer, stream, one(1))
    await appendEvents(writer, stream, one(2))
    expect(await announced()).toBe(1)
    await writer.query('rollback')
    await writer.query('begin; savepoint here')
    await appendEvents(writer, stream, one(3))
    await writer.query('rollback to here')
    expect(await announced()).toBe(0)
    await appendEvents(writer, stream, one(4))
    expect(await announced()).toBe(1)
    await end(writer)
  })

  test.each(['insert', 'copy'])('rows that come by %s are announced like any others', async (how) => {
    await createStream(pool, { stream, partitions: 1 })
    const announced = async () => {
      const { rows } = await pool.query(`select taken - safe as behind, taken from tidemark.safe_position()`)
      return rows[0]
    }
    const writer = await begin()
    if (how === 'insert')
      await writer.query(
        `insert into tidemark.events (stream, partition, data) values ('${stream}', 0, '{"n":1}'), ('${stream}', 0, '{"n":2}')`,
      )
    else
      await copy(writer, 'tidemark.events (stream, partition, data)', `${stream}\t0\t{"n":1}\n${stream}\t0\t{"n":2}\n`)
    expect(await announced()).toEqual({ behind: '2', taken: '2' })
    await end(writer)
    expect(await announced()).toEqual({ behind: '0', taken: '2' })
    expect(numbers(await read(follow(await connect()), 2))).toEqual([1, 2])
  })

  test.each([1, 2, 3])(
    'many appenders with savepoints and rollbacks: a follower gets exactly what was committed, in order (%i)',
    async () => {
      const partitions = 4
      await createStream(pool, { stream, partitions })
      const client = await connect()
      const seen = new Map<number, Message<{ n: number }>[]>()
      const done = new AbortController()
      const following = Array.from({ length: partitions }, async (_, partition) => {
        const messages: Message<{ n: number }>[] = []
        seen.set(partition, messages)
        const reader = follow(client, partition)
        while (!done.signal.aborted) {
          const chunk = await reader.next({ maxMessages: 7, waitMs: 50 })
          if (!chunk) continue
          messages.push(...chunk.messages)
          chunk.release()
        }
        await reader.close()
      })
      const committed = (await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)))).flat()
      const total = () => [...seen.values()].reduce((sum, messages) => sum + messages.length, 0)
      await waitFor(() => total() >= committed.length, { what: `${committed.length} events` }).finally(() =>
        done.abort(),
      )
      await Promise.all(following)
      expect([...seen.values()].flatMap(numbers).sort((a, b) => a - b)).toEqual(committed.sort((a, b) => a - b))
      for (const messages of seen.values()) {
        const offsets = messages.map(({ offset }) => offset)
        expect(offsets).toEqual([...offsets].sort((a, b) => Number(a - b)))
      }
    },
  )

  /** Appends in 40 transactions of random shape and returns what was committed. */
  async function write(writer: number): Promise<number[]> {
    const kept: number[] = []
    let n = writer * 1_000_000
    const client = await pool.connect()
    const some = () => Array.from({ length: 1 + Math.floor(Math.random() * 5) }, () => n++)
    const append = async (into: number[]) => {
      const values = some()
      await appendEvents(
        client,
        stream,
        values.map((value) => ({ key: `${value}`, value: { n: value } })),
      )
      into.push(...values)
    }
    for (let round = 0; round < 40; round++) {
      const mine: number[] = []
      await client.query('begin')
      if (Math.random() < 0.5) await append(mine)
      if (Math.random() < 0.5) {
        await client.query('savepoint s')
        const inner: number[] = []
        await append(inner)
        if (Math.random() < 0.5) await client.query('rollback to s')
        else mine.push(...inner)
      }
      if (Math.random() < 0.3) await client.query('select pg_sleep(random() * 0.02)')
      await append(mine)
      const keep = Math.random() < 0.75
      await client.query(keep ? 'commit' : 'rollback')
      if (keep) kept.push(...mine)
    }
    client.release()
    return kept
  }

  test('a waiting reader gets an event within milliseconds of its commit', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const reader = follow(await connect())
    await appendEvents(pool, stream, one(0))
    await read(reader, 1)
    const delays: number[] = []
    for (let n = 1; n <= 20; n++) {
      const next = read(reader, 1)
      await appendEvents(pool, stream, one(n))
      const committed = performance.now()
      await next
      delays.push(performance.now() - committed)
    }
    // The median, because the machine may be busy; polling alone would take half a second.
    expect(delays.sort((a, b) => a - b)[10]).toBeLessThan(100)
  })

  test('without notifications events arrive by polling', async () => {
    await createStream(pool, { stream, partitions: 1, notify: false })
    const source = postgresStream<{ n: number }>({
      connectionString: database.connectionString,
      stream,
      pollInterval: 50,
    })
    const client = await source.connect({ log: silent, signal: ended.signal })
    open.push(() => client.close())
    const reader = follow(client)
    const next = read(reader, 1)
    await appendEvents(pool, stream, one(1))
    expect(numbers(await next)).toEqual([1])
  })

  test('large appends are all or nothing, and keep their order', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const events = Array.from({ length: 12_345 }, (_, n) => ({ key: 'k', value: { n } }))
    const client = await pool.connect()
    const result = await appendEvents(client, stream, events)
    client.release()
    expect(result).toEqual({ count: 12_345, lastPosition: 12_345n })
    expect(numbers(await read(follow(await connect()), 12_345))).toEqual(events.map(({ value }) => value.n))
    await pool.query(`alter table tidemark.events add constraint refused check (type <> 'refused')`)
    const broken = [...events.slice(0, 6_000), { key: 'k', type: 'refused', value: {} }]
    await expect(appendEvents(pool, stream, broken)).rejects.toThrow('refused')
    const { rows } = await pool.query('select count(*)::int as n from tidemark.events')
    expect(rows).toEqual([{ n: 12_345 }])
  })

  test('an append joins the transaction of its client', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const client = await begin()
    await appendEvents(client, stream, one(1))
    await end(client, 'rollback')
    const { rows } = await pool.query('select count(*)::int as n from tidemark.events')
    expect(rows).toEqual([{ n: 0 }])
  })

  test('key, type, headers and time come along', async () => {
    await createStream(pool, { stream, partitions: 3 })
    const before = Date.now()
    await appendEvents(pool, stream, [{ key: 'Zoë', type: 'placed', value: { n: 1 }, headers: { a: 'b', none: null } }])
    const { rows } = await pool.query(`select tidemark.partition_of('Zoë', 3) as partition`)
    const [message] = await read(follow(await connect(), rows[0].partition), 1)
    expect(message).toMatchObject({ key: 'Zoë', value: { n: 1 }, partition: rows[0].partition })
    expect([...message!.headers]).toEqual([
      ['type', 'placed'],
      ['a', 'b'],
      ['none', null],
    ])
    expect(Math.abs(message!.timestamp - before)).toBeLessThan(60_000)
  })

  test('a stream grows, never shrinks, and is not made up', async () => {
    const source = (partitions?: number) =>
      postgresStream({ connectionString: database.connectionString, stream, ...(partitions ? { partitions } : {}) })
    const context = { log: silent, signal: ended.signal }
    await expect(source().connect(context)).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
    await expect(appendEvents(pool, stream, one(1))).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
    for (const partitions of [2, 4]) await (await source(partitions).connect(context)).close()
    await expect(source(3).connect(context)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const client = await source().connect(context)
    expect(await client.partitions()).toEqual([0, 1, 2, 3])
    await client.close()
  })

  test('growing a stream that has events says that keys have moved, and growing an empty one does not', async () => {
    const warnings: (Error & { code?: string })[] = []
    const note = (warning: Error) => void warnings.push(warning)
    process.on('warning', note)
    try {
      const made = await createStream(pool, { stream, partitions: 1 })
      const grown = await createStream(pool, { stream, partitions: 2 })
      expect([made, grown]).toEqual([
        { partitions: 1, before: null, keysMoved: null },
        { partitions: 2, before: 1, keysMoved: null },
      ])
      await appendEvents(pool, stream, one(1))
      expect(await createStream(pool, { stream, partitions: 2 })).toMatchObject({ keysMoved: null })
      const { keysMoved } = await createStream(pool, { stream, partitions: 8 })
      expect(keysMoved).toContain(`stream '${stream}' has grown from 2 to 8 partitions, which moves keys`)
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings.map(({ code, message }) => [code, message])).toEqual([['TIDEMARK_KEYS_MOVED', keysMoved]])
    } finally {
      process.off('warning', note)
    }
  })

  test('positions beyond 32 bits: an append is held back across the border', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const reader = follow(await connect())
    await pool.query(`select setval('tidemark.events_position_seq', 4294967290)`)
    const long = await begin()
    await appendEvents(long, stream, one(0))
    for (let n = 1; n <= 10; n++) await appendEvents(pool, stream, one(n))
    const { rows } = await pool.query('select safe, taken from tidemark.safe_position()')
    expect(rows).toEqual([{ safe: '4294967290', taken: '4294967301' }])
    await end(long)
    expect(numbers(await read(reader, 11))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('a role needs no more than to insert events and to read streams', async () => {
    await createStream(pool, { stream, partitions: 1 })
    const role = new URL(database.connectionString).pathname.slice(1)
    await pool.query(`create role ${role} login password 'pw'`)
    open.push(() => pool.query(`drop owned by ${role}; drop role ${role}`))
    await pool.query(`grant usage on schema tidemark to ${role}; grant select on tidemark.streams to ${role}`)
    await pool.query(`grant insert, select on tidemark.events to ${role}`)
    const writer = new URL(database.connectionString)
    writer.username = role
    writer.password = 'pw'
    await appendEvents(writer.href, stream, one(1))
    expect(numbers(await read(follow(await connect()), 1))).toEqual([1])
  })

  test('a prepared append holds back what comes after it, through a crash of the server', async () => {
    const stack = await startStack({ postgres: { own: true } })
    open.push(() => stack.stop())
    const { connectionString } = stack.postgres
    await createStream(connectionString, { stream, partitions: 1, notify: false })
    const reader = follow(await connect(connectionString))
    await inOne(connectionString, async (writer) => {
      await writer.query('begin')
      await appendEvents(writer, stream, one(1))
      await writer.query(`prepare transaction 'later'`)
    })
    await appendEvents(connectionString, stream, one(2))
    await stack.postgres.kill()
    await stack.postgres.restart()
    await inOne(connectionString, async (admin) => {
      const { rows } = await admin.query('select safe, taken > 1 as more from tidemark.safe_position()')
      expect(rows).toEqual([{ safe: '0', more: true }])
      await admin.query(`commit prepared 'later'`)
    })
    expect(numbers(await read(reader, 2))).toEqual([1, 2])
  })

  test('a server that has stopped answering holds up no reader that closes', async () => {
    const stack = await startStack({ postgres: { own: true, durable: false } })
    open.push(() => stack.stop())
    const { connectionString } = stack.postgres
    await createStream(connectionString, { stream, partitions: 1 })
    const client = await connect(connectionString)
    const reader = follow(client)
    await appendEvents(connectionString, stream, one(1))
    await read(reader, 1)
    await stack.postgres.pause()
    expect(await reader.next({ maxMessages: 1, waitMs: 100 })).toBeNull()
    // Its first look-up never comes back.
    const other = follow(client)
    const pending = other.next({ maxMessages: 1, waitMs: 60_000 })
    const started = performance.now()
    await Promise.all([reader.close(), other.close()])
    expect(await pending).toBeNull()
    expect(performance.now() - started).toBeLessThan(1_000)
    await stack.postgres.resume()
  })

  test('a killed server while waiting and while reading: everything arrives once it is back', async () => {
    const stack = await startStack({ postgres: { own: true } })
    open.push(() => stack.stop())
    const { connectionString } = stack.postgres
    await createStream(connectionString, { stream, partitions: 2 })
    const told: string[] = []
    const log = {
      ...silent,
      warn: (_: object, text: string) => told.push(text),
      info: (_: object, text: string) => told.push(text),
    }
    const client = await connect(connectionString, log)
    const waiting = follow(client, 0)
    const key = await keyOf(connectionString, 0)
    await appendEvents(connectionString, stream, [{ key, value: { n: 1 } }])
    expect(numbers(await read(waiting, 1))).toEqual([1])
    const arrival = client.waitForData(0, 2n, ended.signal)
    const pending = waiting.next({ maxMessages: 10, waitMs: 200 })
    await stack.postgres.kill()
    expect(await pending).toBeNull()
    await waitFor(() => told.length > 0, { what: 'the outage to be told' })
    const reading = follow(client, 0)
    expect(await reading.next({ maxMessages: 10, waitMs: 100 })).toBeNull()
    await stack.postgres.restart()
    await appendEvents(connectionString, stream, [{ key, value: { n: 2 } }])
    expect(await arrival).toBe(true)
    expect(numbers(await read(waiting, 1))).toEqual([2])
    expect(numbers(await read(reading, 2))).toEqual([1, 2])
    expect(told.filter((text) => text.startsWith('reading') && text.includes('fails')).length).toBeLessThanOrEqual(2)
  })
})

async function read(reader: Reader<{ n: number }>, count: number): Promise<Message<{ n: number }>[]> {
  const messages: Message<{ n: number }>[] = []
  const deadline = performance.now() + 30_000
  while (messages.length < count) {
    const chunk: Chunk<{ n: number }> | null = await reader.next({ maxMessages: 1_000, waitMs: 1_000 })
    messages.push(...(chunk?.messages ?? []))
    chunk?.release()
    if (performance.now() > deadline) throw new Error(`got ${messages.length} of ${count} events in time`)
  }
  return messages
}

/** A key that belongs to the partition, of two. */
async function keyOf(connectionString: string, partition: number): Promise<string> {
  const { rows } = await inOne(connectionString, (client) =>
    client.query(
      `select n::text as key from generate_series(1, 100) n where tidemark.partition_of(n::text, 2) = $1 limit 1`,
      [partition],
    ),
  )
  return rows[0].key
}

/** COPY FROM STDIN, which pg leaves to packages on top of it. */
function copy(client: pg.ClientBase, table: string, rows: string): Promise<void> {
  class Copy extends pg.Query {
    handleCopyInResponse(connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }): void {
      connection.sendCopyFromChunk(Buffer.from(rows))
      connection.endCopyFrom()
    }
  }
  return new Promise((resolve, reject) => {
    const query = client.query(new Copy(`copy ${table} from stdin`))
    query.on('end', () => resolve())
    query.on('error', reject)
  })
}

/** Runs `work` on a connection of its own. */
async function inOne<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
