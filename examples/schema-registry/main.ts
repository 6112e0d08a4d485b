/*
 * Orders in Avro, JSON and Protobuf, decoded by the schemas of a registry. The registry is away when the worker starts.
 *
 *   node --import tsx --conditions=tidemark-source examples/schema-registry/main.ts [ORDERS]
 *
 * Starts Temporal, Postgres and Kafka, or uses those that TEMPORAL_ADDRESS, DATABASE_URL and KAFKA_BROKERS name, and a registry in this
 * process. Exits with 0 when each order is in the table once, else with 1.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { startStack } from '../../src/local/stack.js'
import { FakeRegistry } from '../../test/support/fake-registry.js'
import { WorkerProcess } from '../demo/worker-process.js'
import { makeTopics } from '../make-topics.js'
import { formats, orderEncoders } from './orders.js'

const patience = 60_000
const awayFor = 3_000
const say = (text: string) => process.stderr.write(`${text}\n`)

async function main(count: number): Promise<boolean> {
  const stack = await startStack({ temporal: true, postgres: true, kafka: true }, { onProgress: say })
  const endings: (() => Promise<unknown>)[] = [() => stack.stop()]
  try {
    const run = randomBytes(4).toString('hex')
    const topic = `orders-${run}`
    const registry = await FakeRegistry.start()
    endings.push(() => registry.down())
    const database = await openDatabase(stack.postgres.connectionString, `orders_${run}`)
    endings.push(() => database.client.end())
    await send(stack.kafka.brokers, topic, registry.url, count)
    say(`sent ${count} orders: ${formats.join(', ')}`)

    await registry.down()
    const worker = await WorkerProcess.create('examples/schema-registry/tidemark.config.ts', {
      ...process.env,
      TOPIC: topic,
      DATABASE_URL: database.url,
      KAFKA_BROKERS: stack.kafka.brokers.join(),
      SCHEMA_REGISTRY: registry.url,
      TEMPORAL_ADDRESS: stack.temporal.address,
      TEMPORAL_NAMESPACE: stack.temporal.namespace,
    })
    endings.push(() => worker.close())
    await worker.start()
    say('started a worker, without its registry')
    await pause(awayFor)
    await registry.up()
    say('the registry is back')

    const stored = async () => {
      const { rows } = await database.client.query<{ orders: number; distinct: number }>(
        'select count(*)::int orders, count(distinct id)::int "distinct" from orders',
      )
      return rows[0]!
    }
    for (const end = Date.now() + patience; (await stored()).orders < count && Date.now() < end; await pause(100))
      await worker.check()
    const { orders, distinct } = await stored()
    process.stdout.write(`${JSON.stringify({ sent: count, orders, distinct })}\n`)
    return orders === count && distinct === count
  } finally {
    for (const end of endings.reverse()) await end().catch(() => {})
  }
}

async function openDatabase(
  server: string,
  name: string,
): Promise<{ readonly url: string; readonly client: pg.Client }> {
  const outside = new pg.Client({ connectionString: server })
  await outside.connect()
  await outside.query(`create database ${name}`)
  await outside.end()
  const url = new URL(server)
  url.pathname = `/${name}`
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  await client.query('create table orders (id text, amount int)')
  return { url: url.href, client }
}

async function send(brokers: readonly string[], topic: string, registry: string, count: number): Promise<void> {
  const kafka = new Kafka({ clientId: 'shop', brokers: [...brokers], logLevel: logLevel.NOTHING })
  const [admin, producer] = [kafka.admin(), kafka.producer()]
  await Promise.all([admin.connect(), producer.connect()])
  await makeTopics(admin, [topic], 3)
  const encode = await orderEncoders(new SchemaRegistry({ host: registry }))
  const messages = await Promise.all(
    Array.from({ length: count }, async (_, n) => ({
      key: `customer-${n % 10}`,
      value: await encode(formats[n % formats.length]!, { id: `o-${n}`, amount: n }),
    })),
  )
  await producer.send({ topic, messages })
  await Promise.all([admin.disconnect(), producer.disconnect()])
}

main(Number(process.argv[2] ?? 3_000)).then(
  (well) => process.exit(well ? 0 : 1),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error))
    process.exit(1)
  },
)
