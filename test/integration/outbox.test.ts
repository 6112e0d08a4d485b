import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { createStream, postgresStream } from '../../src/entry/postgres.js'
import { type TransactionalFunction, transactional } from '../../src/handlers/handler.js'
import { appendEvents } from '../../src/postgres/output/append.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { type Running, rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres', 'temporal'], 'the outbox', () => {
  let database: FreshDatabase
  const running: Running[] = []
  let orders: string

  beforeEach(async () => {
    database = await freshDatabase()
    orders = unique('orders')
    await createStream(database.connectionString, { stream: orders, partitions: 1 })
    await createStream(database.connectionString, { stream: 'outbox', partitions: 2 })
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await database.drop()
  })

  async function start(handle: TransactionalFunction<{ id: number }>): Promise<Running> {
    const { connectionString } = database
    const { address, namespace } = part('temporal')
    const config = defineConfig({
      store: postgresStore({ connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<{ id: number }>({
          group: 'billing',
          source: postgresStream({ connectionString, stream: orders }),
          batch: { idleGap: '300ms' },
          retry: { initialInterval: '100ms' },
          handler: transactional(handle),
        }),
      ],
    })
    const one = await run(config)
    running.push(one)
    return one
  }
  const order = (...ids: number[]) =>
    appendEvents(
      database.connectionString,
      orders,
      ids.map((id) => ({ value: { id } })),
    )
  const events = () =>
    rowsOf<{ key: string; type: string; data: object; headers: object }>(
      database.connectionString,
      "select key, type, data, headers from tidemark.events where stream = 'outbox' order by position",
    )

  it('has the events of a handler exactly when its effects are there', async () => {
    await rowsOf(database.connectionString, 'create table effects (id int)')
    let tries = 0
    await start(async (messages, { tx, outbox }) => {
      await outbox(
        'outbox',
        messages.map(({ value: { id } }) => ({
          key: `k${id}`,
          type: 'done',
          value: { id },
          headers: { from: 'test' },
        })),
      )
      await outbox('outbox', [])
      if (++tries === 1) throw new Error('not yet')
      await tx.query('insert into effects select unnest($1::int[])', [messages.map(({ value }) => value.id)])
    })
    await order(1, 2)
    await waitFor(async () => (await events()).length > 1, { what: 'events', timeout: 30_000 })
    const event = (id: number) => ({ key: `k${id}`, type: 'done', data: { id }, headers: { from: 'test' } })
    expect(await events()).toEqual([event(1), event(2)])
    expect(await rowsOf(database.connectionString, 'select id from effects order by id')).toEqual([
      { id: 1 },
      { id: 2 },
    ])
    // Both at first, then each by itself.
    expect(tries).toBe(3)
  })

  it('says which stream is missing, and goes on once it is there', async () => {
    const { log } = await start(async (_, { outbox }) => outbox('nowhere', [{ value: 1 }]))
    await order(1)
    const said = "has no stream 'nowhere'"
    await waitFor(() => log.lines.some((line) => line.includes(said)), { what: said, timeout: 30_000 })
    await createStream(database.connectionString, { stream: 'nowhere', partitions: 1 })
    const there = () => rowsOf(database.connectionString, "select from tidemark.events where stream = 'nowhere'")
    await waitFor(async () => (await there()).length === 1, { what: 'the event', timeout: 30_000 })
  })

  it('its example survives a kill -9: an invoice for each order, and each told of by one idempotency key', async () => {
    const orders = 3_000
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', 'examples/outbox/main.ts', String(orders)],
      { env: environment(), timeout: 200_000 },
    )
    const proof = JSON.parse(stdout)
    const exact = { invoices: orders, ordersWithInvoice: orders, events: orders, ordersTold: orders }
    expect(proof).toMatchObject({ sent: orders + orders / 10, ...exact, idempotencyKeys: orders })
    expect(proof.told).toBeGreaterThanOrEqual(orders)
  })

  it('its documentation shows the config that the example runs', async () => {
    const config = await readFile('examples/outbox/tidemark.config.ts', 'utf8')
    expect(await readFile('docs/inbox-and-outbox.md', 'utf8')).toContain(
      `\`\`\`ts\n// examples/outbox/tidemark.config.ts\n${config}\`\`\`\n`,
    )
  })

  function environment(): NodeJS.ProcessEnv {
    const { address, namespace } = part('temporal')
    return {
      ...process.env,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      DATABASE_URL: part('postgres').connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(),
    }
  }
})
