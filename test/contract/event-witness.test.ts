import type pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createStream, postgresStream } from '../../src/entry/postgres.js'
import type { Chunk, Reader, SourceClient } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { silentLog } from '../support/silent-log.js'

type Value = { n: number }

const stream = 'orders'
const key = { group: 'billing', stream, partition: 0 }

describeWith(['postgres'], 'the witness of a Postgres event', () => {
  let database: FreshDatabase
  let pool: pg.Pool
  let source: SourceClient<Value>
  let ended: AbortController

  beforeEach(async () => {
    ended = new AbortController()
    database = await freshDatabase()
    pool = poolOf(database.connectionString)
    for (const one of [stream, 'parcels']) await createStream(pool, { stream: one, partitions: 3 })
    source = await connect()
  })
  afterEach(async () => {
    ended.abort()
    await source.close()
    await pool.end()
    await database.drop()
  })

  const connect = (options = '') =>
    postgresStream<Value>({
      connectionString: database.connectionString + options,
      stream,
      value: (data) => {
        const value = JSON.parse(data.toString())
        if (value.n === 'poison') throw new Error('no number')
        return value
      },
    }).connect({ log: silentLog(), signal: ended.signal })
  const append = (n: unknown, { partition = 0, of = stream, times = 1 } = {}) =>
    pool.query(
      `insert into tidemark.events (stream, partition, data)
       select $1, $2, jsonb_build_object('n', $3::jsonb) from generate_series(1, $4)`,
      [of, partition, JSON.stringify(n), times],
    )
  const read = (from: bigint, witness?: string, client = source): Reader<Value> =>
    client.read(from, {
      key,
      replay: 0,
      ...(witness !== undefined && { witness }),
      fetchBytes: 64 * 1024,
      budget: new SharedBudget(1024 * 1024),
      signal: ended.signal,
    })
  const next = (reader: Reader<Value>, maxMessages = 100) => reader.next({ maxMessages, waitMs: 5_000 })
  const numbers = (chunk: Chunk<Value> | null) => chunk?.messages.map(({ value }) => value.n)

  /** The witness of what a reader gets from the beginning. */
  async function witnessed(maxMessages = 100): Promise<string> {
    const reader = read(0n)
    const chunk = await next(reader, maxMessages)
    await reader.close()
    return chunk!.witness!
  }

  /** Leaves the events up to a position, as a backup has them. */
  async function setBack(to: number): Promise<void> {
    await pool.query('delete from tidemark.events where position > $1', [to])
    await pool.query(`select setval('tidemark.events_position_seq', $1)`, [to])
  }

  const refused = { code: 'OUT_OF_RANGE', place: { ...key, offset: '11' } }

  it('stops a reader whose last event was replaced by another, which an event behind it does not show', async () => {
    await append(1, { times: 10 })
    const witness = await witnessed()
    await setBack(6)
    await append(2, { times: 20 })
    expect(numbers(await next(read(11n)))).toEqual(Array(16).fill(2))
    const reader = read(11n, witness)
    for (const _ of [1, 2]) await expect(next(reader)).rejects.toMatchObject(refused)
  })

  it.each([
    ['partition', { partition: 2 }],
    ['stream', { of: 'parcels', partition: 1 }],
  ])('stops a reader whose last event has lost its position to another %s', async (_, place) => {
    await append(1, { times: 10 })
    const witness = await witnessed()
    await setBack(9)
    await append(2, place)
    await append(3)
    await expect(next(read(11n, witness))).rejects.toMatchObject(refused)
  })

  it('is that of the last message of each chunk, and lets a reader go on behind it', async () => {
    await append(1)
    await append(2)
    await append(3)
    const first = await witnessed(1)
    expect(first).not.toBe(await witnessed(2))
    expect(numbers(await next(read(2n, first)))).toEqual([2, 3])
  })

  it.each([
    ['its data were redacted', `update tidemark.events set data = '{"n": null}', key = null`],
    ['it was deleted', 'delete from tidemark.events where position = 1'],
    ['it was moved to another partition', 'update tidemark.events set partition = 1 where position = 1'],
  ])('is no obstacle where %s', async (_, statement) => {
    await append(1)
    const witness = await witnessed()
    await pool.query(statement)
    await append(2)
    await append(3, { partition: 2 })
    expect(numbers(await next(read(2n, witness)))).toEqual([2])
  })

  it('is the same whatever a session makes of times and numbers', async () => {
    await append(1)
    const witness = await witnessed()
    await source.close()
    source = await connect(
      `?options=${encodeURIComponent('-c DateStyle=SQL,DMY -c TimeZone=Asia/Kathmandu -c extra_float_digits=-10')}`,
    )
    expect(await witnessed()).toBe(witness)
    await append(2)
    expect(numbers(await next(read(2n, witness)))).toEqual([2])
  })

  it.each(['infinity', '-infinity'])('is absent where the time is %s', async (time) => {
    await append(1)
    await pool.query('update tidemark.events set created_at = $1', [time])
    const chunk = await next(read(0n))
    expect(numbers(chunk)).toEqual([1])
    expect(chunk).not.toHaveProperty('witness')
  })

  it.each([`'29999-12-31 23:59:59.999999 UTC'`, `'4713-01-02 BC'`, `'1969-12-31 23:59:59.5 UTC'`])(
    'is there for an event of %s',
    async (time) => {
      await append(1)
      await pool.query(`update tidemark.events set created_at = ${time}`)
      const witness = await witnessed()
      await append(2)
      expect(numbers(await next(read(2n, witness)))).toEqual([2])
      await pool.query(
        `update tidemark.events set created_at = ${time}::timestamptz - interval '1us' where position = 1`,
      )
      await expect(next(read(2n, witness))).rejects.toMatchObject({ code: 'OUT_OF_RANGE' })
    },
  )

  it('is that of the last message in front of one that cannot be decoded, and absent where there is none', async () => {
    await append(1)
    await append('poison')
    const reader = read(0n)
    const chunk = await next(reader)
    expect(chunk).toMatchObject({ next: 2n, poison: { next: 3n }, witness: await witnessed(1) })
    const poison = await next(reader)
    expect(poison).toMatchObject({ messages: [], poison: { next: 3n } })
    expect(poison).not.toHaveProperty('witness')
  })

  it.each(['e5', '', '1@', '99999999999999999999@1', '1@Infinity'])(
    'that another source has written, %o, is none',
    async (witness) => {
      await append(1)
      await append(2)
      expect(numbers(await next(read(2n, witness)))).toEqual([2])
    },
  )

  /** What readers see of a server that has taken over, with other events from a position on. */
  const takeOver = (from: number, to: number) =>
    pool.query(
      `delete from tidemark.events where position >= ${from};
       insert into tidemark.events (position, stream, partition, data) overriding system value
         select n, '${stream}', 0, '{"n": 2}' from generate_series(${from}, ${to}) n;
       select setval('tidemark.events_position_seq', ${to});
       create or replace function tidemark.log_server() returns text language sql stable as $$ select 'another' $$;
       select pg_notify('tidemark_' || 'tidemark.events'::regclass::oid, '${stream}')`,
    )

  it('is looked for when another server has the log, by a reader that has read the event itself', async () => {
    await append(1, { times: 10 })
    const reader = read(0n)
    expect(numbers(await next(reader))).toHaveLength(10)
    await takeOver(7, 30)
    await expect(next(reader)).rejects.toThrow(
      'orders[0] was set back: another event than the one that was read is at position 10; reading begins again where the progress is',
    )
  })

  it('lets a reader go on at another server that has the event, too', async () => {
    await append(1, { times: 10 })
    const reader = read(0n)
    expect(numbers(await next(reader))).toHaveLength(10)
    await takeOver(11, 12)
    expect(numbers(await next(reader))).toEqual([2, 2])
  })
})
