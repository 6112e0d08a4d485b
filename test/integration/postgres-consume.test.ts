import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { type Running, rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres', 'temporal'], 'a consumer of a Postgres event stream', () => {
  let database: FreshDatabase
  let running: Running | undefined

  beforeEach(async () => {
    database = await freshDatabase()
  })
  afterEach(async () => {
    await running?.stop().catch(() => {})
    running = undefined
    await database.drop()
  })

  it('handles each event once, and what it appends in the transaction arrives at the next consumer once', async () => {
    const { connectionString } = database
    // Streams are names in Temporal, too, and its test server is shared.
    const [orders, payments] = [unique('orders'), unique('payments')]
    await createStream(connectionString, { stream: payments, partitions: 2 })
    await rowsOf(connectionString, 'create table paid (n int, stream text)')
    const note = transactional<{ n: number }>(async (messages, { tx }) => {
      const numbers = messages.map(({ value }) => value.n)
      await tx.query('insert into paid select n, $2 from unnest($1::int[]) n', [numbers, messages[0]!.stream])
      if (messages[0]!.stream === orders)
        await appendEvents(
          tx,
          payments,
          messages.map(({ key, value }) => ({ key, value, type: 'paid' })),
        )
    })
    const consume = (stream: string, partitions: number) =>
      consumer<{ n: number }>({
        group: 'billing',
        source: postgresStream({ connectionString, stream, partitions }),
        batch: { maxDuration: '5s', idleGap: '300ms' },
        handler: note,
      })
    const { address, namespace } = part('temporal')
    running = await run(
      defineConfig({
        store: postgresStore({ connectionString, poolSize: 5 }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [consume(orders, 3), consume(payments, 2)],
      }),
    )
    const numbers = Array.from({ length: 3_000 }, (_, n) => n)
    const append = (some: number[]) =>
      appendEvents(
        connectionString,
        orders,
        some.map((n) => ({ key: `${n % 50}`, value: { n } })),
      )
    await append(numbers.slice(0, 2_000))
    for (let from = 2_000; from < 3_000; from += 100) await append(numbers.slice(from, from + 100))

    const seen = async (stream: string) =>
      (await rowsOf<{ n: number }>(connectionString, 'select n from paid where stream = $1 order by n', [stream])).map(
        ({ n }) => n,
      )
    for (const stream of [orders, payments])
      await waitFor(async () => (await seen(stream)).length >= numbers.length, { what: stream, timeout: 60_000 })
    expect(await seen(orders)).toEqual(numbers)
    expect(await seen(payments)).toEqual(numbers)
  })
})
