import { describe, expect, expectTypeOf, it } from 'vitest'
import { consumer, defineConfig, type Message, type PlainHandler, transactional } from '../../src/entry/index.js'
import { bytes, json, kafka, text } from '../../src/entry/kafka.js'
import { postgresDatabase, postgresStream } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { memoryStore } from '../../src/entry/testing.js'
import type { ValueInfo } from '../../src/reading/value.js'

/*
 * What type messages have is the compiler's to say: `npm run types` checks these, and the tests only run them. Nothing here names the type
 * of the messages: it comes from the source.
 */

interface Order {
  readonly id: string
  readonly amount: number
}
type Orders = readonly Message<Order>[]
type Texts = readonly Message<string>[]

const brokers = ['127.0.0.1:9092']
const [topic, url, connectionString] = ['orders', 'rabbitmq-stream://127.0.0.1', 'postgres://127.0.0.1/app']
const group = 'billing'
/** Like zod's. */
const OrderSchema = {
  parse: (document: unknown) => document as Order,
  parseAsync: async (document: unknown) => document as Order,
}
/** A wrapper of somebody's own. */
function eachOf<T>(handle: (message: Message<T>) => Promise<void> | void): PlainHandler<T> {
  return async (messages) => {
    for (const message of messages) await handle(message)
  }
}

describe('the type of messages comes from the source', () => {
  it('in a plain function', () => {
    const handler = { group, source: kafka({ brokers, topic, value: json(OrderSchema.parse) }) }
    consumer({ ...handler, handler: (orders) => expectTypeOf(orders).toEqualTypeOf<Orders>() && undefined })
    consumer({ ...handler, handler: async (orders) => void expectTypeOf(orders).toEqualTypeOf<Orders>() })
  })

  it('in transactional(...), whatever the source is', () => {
    const value = json(OrderSchema.parse)
    consumer({
      group,
      source: kafka({ brokers, topic, value: json(OrderSchema.parse) }),
      handler: transactional(async (orders, { tx }) => {
        expectTypeOf(orders).toEqualTypeOf<Orders>()
        await tx.query('select 1')
      }),
    })
    consumer({
      group,
      source: rabbitmq({ url, stream: 'orders', value }),
      handler: transactional((orders) => void expectTypeOf(orders).toEqualTypeOf<Orders>()),
    })
    consumer({
      group,
      source: postgresStream<Order>({ connectionString, stream: 'orders' }),
      handler: transactional(async (orders) => void expectTypeOf(orders).toEqualTypeOf<Orders>()),
    })
    consumer({
      handler: transactional(async (orders) => void expectTypeOf(orders).toEqualTypeOf<Orders>()),
      source: kafka<Order>({ brokers, topic }),
      group,
    })
  })

  it('in transactional(...) with a database of its own, in a config', () => {
    const source = kafka({ brokers, topic, value: json(OrderSchema.parse) })
    defineConfig({
      store: memoryStore(),
      consumers: [
        consumer({
          group,
          source,
          dedupe: { key: ({ value }) => value.id },
          until: ({ value }) => value.amount > 5,
          handler: transactional(async (orders) => void expectTypeOf(orders).toEqualTypeOf<Orders>(), {
            database: postgresDatabase({ connectionString }),
          }),
        }),
      ],
    })
  })

  it('with every kind of decoder', () => {
    const at = (value: Parameters<typeof kafka<Order>>[0]['value']) => kafka({ brokers, topic, value: value! })
    for (const source of [at(json(OrderSchema.parseAsync)), at((raw) => OrderSchema.parse(raw)), at(async () => order)])
      consumer({ group, source, handler: transactional((orders) => expectOrders(orders)) })
    consumer({
      group,
      source: kafka({ brokers, topic, value: json(OrderSchema.parseAsync) }),
      handler: transactional((orders) => void expectTypeOf(orders).toEqualTypeOf<Orders>()),
    })
    consumer({
      group,
      source: kafka({ brokers, topic, value: async (raw: Buffer, { offset }: ValueInfo) => `${offset}${raw}` }),
      handler: transactional((texts) => void expectTypeOf(texts).toEqualTypeOf<Texts>()),
    })
    consumer({
      group,
      source: kafka({ brokers, topic, value: (raw) => String(raw) }),
      handler: transactional((texts) => void expectTypeOf(texts).toEqualTypeOf<Texts>()),
    })
    consumer({
      group,
      source: kafka({ brokers, topic, value: text() }),
      handler: transactional((texts) => void expectTypeOf(texts).toEqualTypeOf<Texts>()),
    })
    consumer({
      group,
      source: kafka({ brokers, topic, value: bytes() }),
      handler: transactional((raw) => void expectTypeOf(raw).toEqualTypeOf<readonly Message<Buffer>[]>()),
    })
    consumer({
      group,
      source: kafka({ brokers, topic }),
      handler: transactional((all) => void expectTypeOf(all).toEqualTypeOf<readonly Message[]>()),
    })
  })

  it('in wrappers of somebody else, which give functions', () => {
    const source = kafka({ brokers, topic, value: json(OrderSchema.parse) })
    consumer({
      group,
      source,
      handler: eachOf((order) => void expectTypeOf(order).toEqualTypeOf<Message<Order>>()),
    })
  })

  it('and a handler of other messages is refused', () => {
    const source = kafka({ brokers, topic, value: json(OrderSchema.parse) })
    const shipped = transactional<{ shippedAt: Date }>(() => {})
    // @ts-expect-error
    consumer({ group, source, handler: shipped })
    // @ts-expect-error
    consumer({ group, source, handler: (_: readonly Message<{ shippedAt: Date }>[]) => {} })
    // @ts-expect-error: the transaction's handler needs its transaction
    const plain: PlainHandler<{ shippedAt: Date }> = shipped
    expect(plain).toBe(shipped)
  })
})

const order: Order = { id: 'o1', amount: 5 }

function expectOrders(orders: Orders): void {
  expectTypeOf(orders).toEqualTypeOf<Orders>()
}
