import type pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { appendEvents, createStream, postgresStream } from '../../src/entry/postgres.js'
import type { Reader, SourceClient } from '../../src/ports/index.js'
import { SafePosition } from '../../src/postgres/source/safe-position.js'
import { UncountedEvents } from '../../src/postgres/source/uncounted-events.js'
import { tablesIn } from '../../src/postgres/tables/event-tables.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { poolOf } from '../support/pool.js'
import { silentLog } from '../support/silent-log.js'

const stream = 'orders'

describeWith(['postgres'], 'events that the sequence has not counted', () => {
  let database: FreshDatabase
  let pool: pg.Pool
  let source: SourceClient<{ n: number }>
  const ended = new AbortController()

  beforeEach(async () => {
    database = await freshDatabase()
    pool = poolOf(database.connectionString, { max: 12 })
    await createStream(pool, { stream, partitions: 2 })
    source = await postgresStream<{ n: number }>({ connectionString: database.connectionString, stream }).connect({
      log: silentLog(),
      signal: ended.signal,
    })
  })
  afterEach(async () => {
    await source.close()
    await pool.end()
    await database.drop()
  })

  /** What a restore without the sequence leaves in partition 1. */
  const copyRows = (first: number, last: number) =>
    pool.query(
      `insert into tidemark.events (position, stream, partition, data) overriding system value
       select n, $1, 1, jsonb_build_object('n', n) from generate_series($2::int, $3::int) n`,
      [stream, first, last],
    )
  const read = (from = 0n): Reader<{ n: number }> =>
    source.read(from, {
      key: { group: 'billing', stream, partition: 1 },
      replay: 0,
      fetchBytes: 64 * 1024,
      budget: new SharedBudget(1024 * 1024),
      signal: ended.signal,
    })
  const next = (reader: Reader<{ n: number }>) => reader.next({ maxMessages: 100, waitMs: 5_000 })
  const append = (partition = 0) =>
    pool.query(`insert into tidemark.events (stream, partition, data) values ($1, $2, '{"n": 0}')`, [stream, partition])
  const taken = async () => (await pool.query('select taken from tidemark.safe_position()')).rows[0].taken

  it('stop the reader with the statement that puts it right, and are delivered after it', async () => {
    await append()
    await copyRows(41, 60)
    const reader = read(2n)
    const error = await next(reader).catch((error: Error) => error)
    expect(error).toMatchObject({
      code: 'CORRUPT_DATA',
      effect: 'stop',
      place: { group: 'billing', stream, partition: 1, offset: '2' },
      message: expect.stringMatching(
        /^orders\[1\], group billing: the last event in schema 'tidemark' is at position 60, .* positions up to 1 only/,
      ),
    })
    const [mend] = (error as Error).message.match(/select setval\(.*$/)!
    await expect(next(reader)).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
    await pool.query(mend)
    const chunk = await next(reader)
    expect(chunk!.messages.map(({ value }) => value.n)).toEqual(Array.from({ length: 20 }, (_, n) => 41 + n))
    chunk!.release()
    await append()
    expect(await taken()).toBe('61')
    await reader.close()
  })

  it('stop a reader that has come to them, and one whose group stands behind them', async () => {
    await copyRows(1, 20)
    await append()
    for (const from of [2n, 21n]) {
      const reader = read(from)
      await expect(next(reader)).rejects.toMatchObject({ code: 'CORRUPT_DATA', place: { offset: '2' } })
      await reader.close()
    }
  })

  it('collide with new events of the same partition, which are refused', async () => {
    await copyRows(1, 2)
    await expect(append(1)).rejects.toMatchObject({ code: '23505' })
    await append(0)
    await append(1)
    expect(await taken()).toBe('3')
  })

  it('wake whoever waits for data', async () => {
    await copyRows(41, 60)
    expect(await source.waitForData(1, 0n, ended.signal)).toBe(true)
  })

  it('leave no answer to where a group begins that wants the next event', async () => {
    await copyRows(41, 60)
    expect(await source.resolve(1, 'first')).toBe(41n)
    await expect(source.resolve(1, 'next')).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
    expect(await source.resolve(0, 'next')).toBe(0n)
  })

  it('are not seen where events are being appended', async () => {
    const deadline = performance.now() + 3_000
    const isOver = () => performance.now() > deadline
    const appending = Array.from({ length: 6 }, async (_, n) => {
      while (!isOver()) {
        const client = await pool.connect()
        try {
          await client.query('begin')
          for (let i = 0; i <= n; i++) await appendEvents(client, stream, [{ value: { n: i } }])
          await client.query(n % 3 === 0 ? 'rollback' : 'commit')
        } finally {
          client.release()
        }
      }
    })
    const tables = tablesIn('tidemark')
    const safe = new SafePosition(pool, tables)
    const uncounted = new UncountedEvents(pool, tables, { stream, schema: 'tidemark' }, safe)
    let seenBeyond = 0
    while (!isOver()) {
      const before = safe.taken
      expect(await uncounted.look([0, 1])).toEqual(new Map())
      // It had to ask the sequence again.
      if (safe.taken > before) seenBeyond++
    }
    await Promise.all(appending)
    expect(seenBeyond).toBeGreaterThan(10)
  })
})
