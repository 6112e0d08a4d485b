import { randomBytes } from 'node:crypto'
import { type Admin, type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import pg from 'pg'
import { createStream } from 'tidemark/postgres'
import { makeTopics } from '../make-topics.js'

const partitions = 4
/** One of so many orders is sent a second time, as a producer does that retries by itself or whose user clicks twice. */
const twiceEvery = 10
const perSend = 1_000

/** The world around the worker: who orders, and who reads the events at the end. It has a database and topics of its own. */
export class Shop {
  /** What the topic `invoices` holds: the idempotency keys of each order's events, in their order. */
  readonly #told = new Map<string, string[]>()
  sent = 0

  private constructor(
    readonly pool: pg.Pool,
    /** Where the worker finds everything. */
    readonly env: Readonly<Record<string, string>>,
    private readonly topics: { readonly orders: string; readonly invoices: string },
    private readonly producer: Producer,
    private readonly reader: Consumer,
    private readonly admin: Admin,
    private readonly drop: () => Promise<void>,
  ) {}

  static async open(server: string, brokers: readonly string[]): Promise<Shop> {
    const run = randomBytes(4).toString('hex')
    const topics = { orders: `orders-${run}`, invoices: `invoices-${run}` }
    const kafka = new Kafka({ clientId: 'shop', brokers: [...brokers], logLevel: logLevel.NOTHING })
    const [admin, producer] = [kafka.admin(), kafka.producer()]
    const reader = kafka.consumer({ groupId: `auditor-${run}` })
    await Promise.all([admin.connect(), producer.connect(), reader.connect()])
    await makeTopics(admin, Object.values(topics), partitions)

    const url = new URL(server)
    const outside = new pg.Client({ connectionString: server })
    await outside.connect()
    await outside.query(`create database shop_${run}`)
    url.pathname = `/shop_${run}`
    const pool = new pg.Pool({ connectionString: url.href, max: 2 })
    pool.on('error', () => {})
    // No primary key, which would hide a second invoice.
    await pool.query('create table invoices (order_id text not null, total int not null)')
    await createStream(pool, { stream: 'invoices', partitions })

    const env = { DATABASE_URL: url.href, KAFKA_BROKERS: brokers.join(), NAMES: `-${run}` }
    const drop = async () => {
      await outside.query(`drop database shop_${run} with (force)`)
      await outside.end()
    }
    const shop = new Shop(pool, env, topics, producer, reader, admin, drop)
    await shop.#listen()
    return shop
  }

  /** Sends orders `first` to `last`, some of them twice. */
  async order(first: number, last: number): Promise<void> {
    for (let from = first; from <= last; from += perSend) {
      const ids = Array.from({ length: Math.min(perSend, last - from + 1) }, (_, index) => from + index)
      const repeated = ids.filter((id) => id % twiceEvery === 0)
      const messages = [...ids, ...repeated].map((id, index) => ({
        // The second one goes to another partition, where its neighbours don't know of the first.
        partition: (id + (index < ids.length ? 0 : 1)) % partitions,
        value: JSON.stringify({ id: `order-${id}`, customer: `customer-${id % 500}`, amount: 1 + (id % 97) }),
      }))
      await this.producer.send({ topic: this.topics.orders, acks: -1, messages })
      this.sent += messages.length
    }
  }

  async invoices(): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>('select count(*)::int as n from invoices')
    return rows[0]!.n
  }

  /** What the topic has told so far. */
  async told(): Promise<ReadonlyMap<string, readonly string[]>> {
    return this.#told
  }

  async #listen(): Promise<void> {
    await this.reader.subscribe({ topic: this.topics.invoices, fromBeginning: true })
    await this.reader.run({
      eachMessage: async ({ message }) => {
        const { order } = JSON.parse(String(message.value)) as { order: string }
        const key = String(message.headers?.['tidemark-key'])
        const keys = this.#told.get(order)
        if (keys) keys.push(key)
        else this.#told.set(order, [key])
      },
    })
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.reader.disconnect(), this.producer.disconnect(), this.pool.end()])
    await this.admin.deleteTopics({ topics: Object.values(this.topics) })
    await this.admin.disconnect()
    await this.drop()
  }
}
