import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { redriveDeadLetters } from '../../src/client/letters/requests.js'
import { viewGroups } from '../../src/client/view.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import { deadLetter, retryLater } from '../../src/config/failures.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import {
  appendEvents,
  createStream,
  postgresDatabase,
  postgresStore,
  postgresStream,
} from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { type Running, rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'
import { Wire } from '../support/wire.js'

/** AWAY_SECONDS=180 is the long form. */
const awaySeconds = Number(process.env.AWAY_SECONDS ?? 6)

interface Order {
  readonly n: number
  readonly key: string
}

describeWith(['postgres', 'temporal'], 'failures', () => {
  let database: FreshDatabase
  let running: Running | undefined
  let stream: string
  let config: TidemarkConfig

  beforeEach(async () => {
    database = await freshDatabase()
    stream = unique('orders')
    await createStream(database.connectionString, { stream, partitions: 2 })
    await ask('create table effects (id serial, n int, key text)')
    await ask('create table broken (key text)')
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(running?.log.lines.join('\n'))
    await running?.stop().catch(() => {})
    running = undefined
    await database.drop()
  })

  const ask = <T extends object>(text: string, values: unknown[] = []) =>
    rowsOf<T>(database.connectionString, text, values)
  const append = (from: number, to: number, keys: number) =>
    appendEvents(
      database.connectionString,
      stream,
      Array.from({ length: to - from }, (_, index) => {
        const n = from + index
        return { key: `k${n % keys}`, value: { n, key: `k${n % keys}` } }
      }),
    )

  async function consume(
    options: Partial<ConsumerOptions<Order>>,
    each: (order: Order) => Promise<void> = async () => {},
  ): Promise<void> {
    const { address, namespace } = part('temporal')
    const { connectionString } = database
    config = defineConfig({
      store: postgresStore({ connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<Order>({
          group: 'billing',
          source: postgresStream<Order>({ connectionString, stream, partitions: 2 }),
          slices: 1,
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          retry: { attempts: 3, initialInterval: '100ms' },
          afterLastTry: deadLetter(),
          handler: transactional<Order>(async (messages, { tx }) => {
            const { rows } = await tx.query<{ key: string }>('select key from broken')
            const broken = new Set(rows.map(({ key }) => key))
            for (const { value } of messages) {
              if (broken.has(value.key) && value.n < 100) throw new Error(`no such customer: ${value.key}`)
              await each(value)
            }
            await tx.query('insert into effects (n, key) select * from unnest($1::int[], $2::text[])', [
              messages.map(({ value }) => value.n),
              messages.map(({ value }) => value.key),
            ])
          }),
          ...options,
        }),
      ],
    })
    running = await run(config)
  }

  const effects = async () => (await ask<{ n: number }>('select n from effects order by n')).map(({ n }) => n)
  const letters = () =>
    ask<{ n: number; class: string; state: string; tries: number; error: string }>(
      `select ((convert_from(value, 'UTF8')::json) ->> 'n')::int as n, class, state, tries, error
       from tidemark.dead_letters where done_at is null order by n`,
    )
  const redrive = () => redriveDeadLetters(config, { group: 'billing' }, { reason: 'mended' })

  it('set a message aside after its tries, with what comes behind it, and the others flow; a redrive handles each once, in order', async () => {
    await ask("insert into broken values ('k3')")
    await consume({})
    await append(0, 200, 10)
    // Offset 3 has three tries; what follows it with key k3 is not tried.
    await waitFor(async () => (await effects()).length === 180, { what: 'the healthy keys', timeout: 30_000 })
    expect((await letters()).map(({ n, class: kind, tries }) => [n, kind, tries])).toEqual([
      [3, 'poison', 3],
      ...Array.from({ length: 19 }, (_, index) => [13 + 10 * index, 'behind', 0]),
    ])
    expect((await letters())[0]!.error).toMatch(/failed at .*offset \d+: no such customer: k3/)
    await ask('delete from broken')
    await append(200, 210, 10)
    await redrive()
    await waitFor(async () => (await effects()).length === 210, { what: 'the redrive', timeout: 30_000 })
    const order = await ask<{ n: number }>("select n from effects where key = 'k3' order by id")
    expect(order.map(({ n }) => n)).toEqual(Array.from({ length: 21 }, (_, index) => 3 + 10 * index))
    expect(await letters()).toEqual([])
  })

  it('bring a message back by itself after its delay, while its partition rests', async () => {
    await ask("insert into broken values ('k0')")
    await consume({
      retry: { attempts: 1 },
      batch: { maxDuration: '1s', idleGap: '100ms', restAfter: '500ms' },
      afterLastTry: retryLater('4s'),
    })
    await append(0, 4, 2)
    await waitFor(async () => (await letters()).length === 2, { what: 'the letters', timeout: 20_000 })
    await ask('delete from broken')
    await waitFor(async () => (await effects()).length === 4, { what: 'their return', timeout: 20_000 })
  })

  it('wait for a service that only some messages need, with no try used, and go on within 10 s of its return', async () => {
    const service = await startedService()
    const { port } = service.address() as AddressInfo
    await consume({ retry: { attempts: 1 } }, async ({ key }) => {
      if (key === 'k1') await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text())
    })
    await append(0, 10, 2)
    await waitFor(async () => (await effects()).length === 10, { what: 'the first messages', timeout: 20_000 })
    await stopped(service)
    await append(10, 20, 2)
    await waitFor(() => running!.log.lines.some((line) => line.startsWith(`unavailable: 127.0.0.1:${port}`)), {
      what: 'the log to say so',
      timeout: 20_000,
    })
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    const again = await startedService(port)
    const back = performance.now()
    await waitFor(async () => (await effects()).length === 20, { what: 'the return', timeout: 20_000 })
    expect(performance.now() - back).toBeLessThan(10_000)
    expect(await letters()).toEqual([])
    expect(await ask('select * from tidemark.consumer_troubles where trouble is not null')).toEqual([])
    await stopped(again)
  })

  it(`outlast their database being away for ${awaySeconds} s: no try is used, status says why, and they go on within 10 s`, async () => {
    const { host } = new URL(database.connectionString)
    const wire = await Wire.to(host)
    const wired = new URL(database.connectionString)
    wired.host = wire.address
    const handled = transactional<Order>(
      async (messages, { tx }) => {
        const values = messages.map(({ value }) => value)
        await tx.query('insert into effects (n, key) select * from unnest($1::int[], $2::text[])', [
          values.map(({ n }) => n),
          values.map(({ key }) => key),
        ])
      },
      { database: postgresDatabase({ connectionString: wired.href, poolSize: 3 }) },
    )
    try {
      await consume({ retry: { attempts: 1 }, handler: handled })
      await append(0, 10, 2)
      await waitFor(async () => (await effects()).length === 10, { what: 'the first messages', timeout: 20_000 })
      const shut = await closedPort()
      wire.lead(`127.0.0.1:${shut}`)
      wire.reset()
      const since = performance.now()
      await append(10, 200, 2)
      const reasons = async () => {
        const [view] = await viewGroups(config)
        return view!.partitions.map(({ reason }) => `${reason}`)
      }
      await waitFor(
        async () => (await reasons()).every((reason) => /ECONNREFUSED|Connection terminated/.test(reason)),
        {
          what: 'status to say what is away',
          timeout: 60_000,
        },
      )
      const left = awaySeconds * 1_000 - (performance.now() - since)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)))
      expect(await effects()).toHaveLength(10)
      wire.lead(host)
      const back = performance.now()
      await waitFor(async () => (await effects()).length === 200, { what: 'the return', timeout: 60_000 })
      const took = performance.now() - back
      console.log(`away for ${awaySeconds} s, all 190 messages handled ${Math.round(took)} ms after its return`)
      expect(took).toBeLessThan(10_000)
      expect(await effects()).toEqual(Array.from({ length: 200 }, (_, n) => n))
      expect(await letters()).toEqual([])
      expect(await ask('select * from tidemark.consumer_troubles where trouble is not null')).toEqual([])
    } finally {
      await wire.close()
    }
  })
})

/** A port of this machine where nobody answers. */
async function closedPort(): Promise<number> {
  const server = await startedService()
  const { port } = server.address() as AddressInfo
  await stopped(server)
  return port
}

function startedService(port = 0): Promise<Server> {
  const server = createServer((_, answer) => answer.end('ok'))
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)))
}

function stopped(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
