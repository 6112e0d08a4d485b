import { expect, it } from 'vitest'
import {
  consumer,
  deadLetter,
  defineConfig,
  everyN,
  type HandlerContext,
  type Message,
  retryLater,
  transactional,
} from '../../src/entry/index.js'
import { kafka, kafkaOutput } from '../../src/entry/kafka.js'
import { postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { memoryStore, type TestOptions, testConsumer, tidemarkMatchers } from '../../src/entry/testing.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'

interface Order {
  readonly total: number
}
type Handle = (messages: readonly Message<Order>[], context: HandlerContext) => Promise<void> | void

const source = kafka<Order>({ brokers: ['nowhere:9092'], topic: 'orders' })

function configOf(handler: Handle, options: Partial<Parameters<typeof consumer<Order>>[0]> = {}) {
  return defineConfig({
    store: memoryStore(),
    consumers: [consumer({ group: 'billing', source, handler, ...options })],
  })
}

const order = (total: number, key = 'a') => ({ key, value: { total } })

describeWith(['timeSkipping'], 'testing kit', () => {
  const start = (config: ReturnType<typeof configOf>, options: TestOptions = {}) =>
    testConsumer(config, { server: part('timeSkipping').path, ...options })

  it('hands what is appended to the handler, in the order of its key, and commits it', async () => {
    const totals: number[] = []
    await using t = await start(configOf((messages) => void totals.push(...messages.map(({ value }) => value.total))))
    await t.append([1, 2, 3, 4, 5, 6, 7, 8].map((total) => order(total)))
    await t.settled()
    expect(totals).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(Object.values(await t.offsets()).reduce((sum, offset) => sum + offset, 0n)).toBe(8n)
    expect(await tidemarkMatchers.toBeCaughtUp(t)).toMatchObject({ pass: true })
  })

  it('cuts calls in the same way for the same seed', async () => {
    const sizes = async (seed: number) => {
      const found: number[] = []
      await using t = await start(
        configOf((messages) => void found.push(messages.length)),
        { seed, partitions: 1 },
      )
      await t.append(Array.from({ length: 20 }, (_, total) => order(total)))
      await t.settled()
      return found
    }
    const first = await sizes(7)
    expect(await sizes(7)).toEqual(first)
    expect(await sizes(8)).not.toEqual(first)
  })

  it('lets days of retries pass in seconds, each at its time', async () => {
    const attempts: number[] = []
    const handler: Handle = async (_, { attempt }) => void attempts.push(attempt)
    await using t = await start(configOf(handler, { retry: { initialInterval: '1m', maximumInterval: '6h' } }))
    const began = await t.clock.now()
    t.failNext(new Error('the database is away'), { times: 12 })
    await t.append([order(1)])
    expect((await t.settled()).map(({ state }) => state)).toContain('retrying')
    expect(t.calls.length).toBe(1)
    await t.advance('90s')
    expect(t.calls.length).toBe(2)
    await t.advance('3 days')
    expect(attempts).toEqual([13])
    expect((await t.clock.now()) - began).toBeGreaterThan(3 * 86_400_000)
    expect(await tidemarkMatchers.toBeCaughtUp(t)).toMatchObject({ pass: true })
  })

  it('a killed worker commits nothing of the chunk in hand, and another one handles it after the heartbeat timeout', async () => {
    let release = () => {}
    let hangs: Promise<void> | undefined = new Promise((resolve) => {
      release = resolve
    })
    const begun: string[] = []
    const handler: Handle = async ([first], { attempt }) => {
      begun.push(`${first!.value.total} attempt ${attempt}`)
      await hangs
    }
    await using t = await start(configOf(handler))
    await t.append([order(1)])
    await waitFor(() => begun.length > 0, { what: 'the handler to begin' })
    await t.kill()
    hangs = undefined
    release()
    await expect(t.settled()).rejects.toThrow('restart()')
    expect(Object.values(await t.offsets()).every((offset) => offset === 0n)).toBe(true)
    await t.restart()
    await t.settled()
    expect(begun).toEqual(['1 attempt 1'])
    await t.advance('10s')
    expect(begun).toEqual(['1 attempt 1', '1 attempt 2'])
    expect(tidemarkMatchers.toHaveHandled(t, [{ total: 1 }])).toMatchObject({ pass: true })
  })

  it('reads with the decoder of the source, and a restart with a better one goes on', async () => {
    const picky = kafka<Order>({ brokers: ['nowhere:9092'], topic: 'orders', value: () => ({ total: Number.NaN }) })
    const failing = kafka<Order>({
      brokers: ['nowhere:9092'],
      topic: 'orders',
      value: () => {
        throw new Error('an unknown schema')
      },
    })
    await using t = await start(configOf(() => {}, { source: failing }))
    await t.append([{ key: 'a', value: Buffer.from([1, 2, 3]) }])
    const blocked = (await t.settled()).find(({ state }) => state === 'blocked')
    expect(blocked?.reason).toContain('an unknown schema')
    expect(await tidemarkMatchers.toBeBlockedAt(t, 0)).toMatchObject({ pass: true })
    await t.restart(configOf(() => {}, { source: picky }))
    await t.settled()
    expect(t.handled().map(({ value }) => value)).toEqual([{ total: Number.NaN }])
  })

  it('a message that a handler produces for a stream of the config gets to the consumers of that stream', async () => {
    const invoices: unknown[] = []
    const output = kafkaOutput({ brokers: ['nowhere:9092'] })
    await using t = await start(
      defineConfig({
        store: memoryStore(),
        consumers: [
          consumer({
            group: 'billing',
            source,
            output,
            handler: (messages, { produce }) => {
              for (const { value, key } of messages) produce('invoices', { key, value: { due: value.total } })
            },
          }),
          consumer({
            group: 'mailing',
            source: kafka({ brokers: ['nowhere:9092'], topic: 'invoices' }),
            handler: (messages) => void invoices.push(...messages.map(({ value }) => value)),
          }),
        ],
      }),
      { partitions: { invoices: 2 } },
    )
    await t.append('orders', [order(5), order(6, 'b')])
    await t.settled()
    expect(invoices).toHaveLength(2)
    expect(invoices).toEqual(expect.arrayContaining([{ due: 5 }, { due: 6 }]))
    expect(t.produced.map(({ topic }) => topic)).toEqual(['invoices', 'invoices'])
  })

  it('a transactional handler of a store in memory writes what it writes when its chunk is handled', async () => {
    const handler = transactional<Order>((messages, { tx }) => {
      const { write } = tx.client as { write(value: unknown): void }
      for (const { value } of messages) write(value.total)
    })
    await using t = await start(configOf(() => {}, { handler, commit: everyN(2) }))
    t.failNext(new Error('once'))
    await t.append([order(1), order(2)])
    await t.settled()
    await t.advance('5s')
    expect(t.written).toEqual([1, 2])
  })

  it('messages that were set aside are listed, redriven, and come back after their delay', async () => {
    let broken = true
    const failing = (orders: readonly { readonly value: Order }[]) => {
      if (broken && orders.some(({ value }) => value.total === 2)) throw new Error('no')
    }
    const policies = [deadLetter(), retryLater('1h')]
    for (const afterLastTry of policies) {
      broken = true
      await using t = await start(configOf(failing, { isolate: true, retry: { attempts: 1 }, afterLastTry }))
      await t.append([order(1), order(2), order(3)])
      await t.settled()
      expect((await t.deadLetters()).map(({ tries }) => tries)).toContain(1)
      broken = false
      if (afterLastTry === policies[0]) await t.redrive()
      else await t.advance('2h')
      expect(await t.deadLetters()).toEqual([])
      expect(
        t
          .handled()
          .map(({ value }) => (value as Order).total)
          .sort(),
      ).toEqual([1, 2, 3])
    }
  })

  it('a message comes back after an hour, a day and three days, each at its time, with later ones of its key behind it', async () => {
    let broken = true
    const failing = (orders: readonly { readonly value: Order }[]) => {
      if (broken && orders.some(({ value }) => value.total === 2)) throw new Error('no')
    }
    const afterLastTry = retryLater('1h', '1d', '3d')
    await using t = await start(configOf(failing, { isolate: true, retry: { attempts: 1 }, afterLastTry }))
    await t.append([order(1), order(2)])
    await t.settled()
    await t.append([{ ...order(2), value: { ...order(2).value, total: 20 } }])
    await t.settled()
    const tries = async () => (await t.deadLetters()).map((letter) => letter.tries)
    expect(await tries()).toEqual([1, 0])
    await t.advance('50m')
    expect(await tries()).toEqual([1, 0])
    await t.advance('20m')
    expect(await tries()).toEqual([2, 0])
    await t.advance('23h')
    expect(await tries()).toEqual([2, 0])
    await t.advance('2h')
    expect(await tries()).toEqual([3, 0])
    broken = false
    await t.advance('2d')
    expect(await tries()).toEqual([3, 0])
    await t.advance('1d')
    expect(await tries()).toEqual([])
    const totals = t.handled().map(({ value }) => (value as Order).total)
    expect(totals).toEqual([1, 2, 20])
  })

  it('names the states and the seed where nothing settles', async () => {
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    await using t = await start(
      configOf(() => hanging),
      { timeout: 1_000, seed: 5 },
    )
    await t.append([order(1)])
    const error: Error = await t.settled().then(
      () => new Error('it settled'),
      (error) => error,
    )
    expect(error.message).toMatch(/not settled after 1000 ms, 1 activities/)
    expect(error.message).toContain('seed 5')
    await expect(t.advance('1h')).rejects.toThrow('did not pass')
    release()
  })

  it('leaves no workflow behind', async () => {
    const t = await start(configOf(() => {}))
    const { workflow } = t.client
    expect((await workflow.getHandle('tidemark/billing/orders').describe()).status.name).toBe('RUNNING')
    await t.close()
    const again = await start(configOf(() => {}))
    const left = await Promise.all(
      ['', '/0', '/1', '/2', '/3'].map((slice) => workflow.getHandle(`tidemark/billing/orders${slice}`).describe()),
    )
    expect(left.map(({ status }) => status.name)).toEqual(Array(5).fill('TERMINATED'))
    await again.close()
  })
})

describeWith(['timeSkipping', 'postgres'], 'testing kit with a database', () => {
  it('keeps effects and progress of a transactional handler together in a database of its own', async () => {
    const store = postgresStore({ connectionString: 'postgres://nobody@nowhere/none', schema: 'elsewhere' })
    const handler = transactional<Order>(async (messages, { tx }) => {
      for (const { value } of messages) await tx.query('insert into totals values ($1)', [value.total])
      if (messages.some(({ value }) => value.total === 2)) await failsOnce()
    })
    let failures = 0
    const failsOnce = async () => {
      if (failures++ === 0) throw new Error('after the insert')
    }
    await using t = await testConsumer(
      defineConfig({ store, consumers: [consumer({ group: 'billing', source, handler })] }),
      {
        server: part('timeSkipping').path,
        database: part('postgres').connectionString,
        setup: 'create table totals (total int)',
      },
    )
    await t.append([order(1), order(2), order(3)])
    await t.settled()
    await t.advance('5s')
    expect(failures).toBe(2)
    expect(await t.effects('select total from totals order by total')).toEqual([
      { total: 1 },
      { total: 2 },
      { total: 3 },
    ])
    const [row] = await t.effects<{ position: string }>(
      'select sum(position) as position from elsewhere.consumer_offsets',
    )
    expect(Number(row!.position)).toBe(3)
  })

  it('events of an outbox reach the consumers of that stream when their transaction is committed, and not before', async () => {
    const connectionString = 'postgres://nobody@nowhere/none'
    let failures = 0
    const billing = consumer({
      group: 'billing',
      source,
      handler: transactional(async (orders, { outbox }) => {
        await outbox(
          'invoices',
          orders.map(({ key, value }) => ({
            key,
            type: 'invoiced',
            value: { due: value.total },
            headers: { by: 'kit' },
          })),
        )
        if (failures++ === 0) throw new Error('after the outbox')
      }),
    })
    const mailing = consumer({
      group: 'mailing',
      source: postgresStream<{ due: number }>({ connectionString, stream: 'invoices' }),
      handler: () => {},
    })
    await using t = await testConsumer(
      defineConfig({ store: postgresStore({ connectionString }), consumers: [billing, mailing] }),
      { server: part('timeSkipping').path, database: part('postgres').connectionString, partitions: { invoices: 2 } },
    )
    await t.append('orders', [order(5)])
    await t.settled()
    expect([failures, t.handled('mailing')]).toEqual([1, []])
    await t.advance('5s')
    const [event, ...more] = t.handled('mailing')
    expect(more).toEqual([])
    expect(event).toMatchObject({ stream: 'invoices', key: 'a', value: { due: 5 } })
    expect([...event!.headers]).toEqual([
      ['type', 'invoiced'],
      ['by', 'kit'],
    ])
    expect(await tidemarkMatchers.toBeCaughtUp(t)).toMatchObject({ pass: true })
  })
})
