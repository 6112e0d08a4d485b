import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka, kafkaOutput } from 'tidemark/kafka'
import { postgresStore, postgresStream } from 'tidemark/postgres'

interface Order {
  id: string
  customer: string
  amount: number
}
interface Invoice {
  order: string
  total: number
}

// NAMES sets runs apart that share a Kafka and a Temporal.
const { DATABASE_URL: connectionString, KAFKA_BROKERS = '127.0.0.1:9092', NAMES = '' } = process.env
const brokers = KAFKA_BROKERS.split(',')

/** One transaction: the keys of the orders, the invoices, the events that tell of them, and how far this has come. */
const billing = consumer<Order>({
  group: `billing${NAMES}`,
  // A killed worker's partitions move on after so long. The default, 10s, also forgives a slow machine.
  heartbeatTimeout: '3s',
  source: kafka({ brokers, topic: `orders${NAMES}` }),
  dedupe: { key: ({ value }) => value.id, retention: '7d' },
  handler: transactional(async (orders, { tx, outbox }) => {
    await tx.query('insert into invoices (order_id, total) select * from unnest($1::text[], $2::int[])', [
      orders.map(({ value }) => value.id),
      orders.map(({ value }) => value.amount),
    ])
    const invoices = orders.map(({ value }) => ({
      key: value.customer,
      type: 'invoiced',
      value: { order: value.id, total: value.amount } satisfies Invoice,
    }))
    await outbox('invoices', invoices)
  }),
})

/** Takes the events on to Kafka, at least once. Whoever reads them there can tell repeats by the header. */
const relay = consumer<Invoice>({
  group: `relay${NAMES}`,
  heartbeatTimeout: '3s',
  source: postgresStream({ connectionString, stream: 'invoices' }),
  output: kafkaOutput({ brokers }),
  handler: (events, { produce }) => {
    for (const source of events) produce(`invoices${NAMES}`, { key: source.key, value: source.value, source })
  },
})

export default defineConfig({
  store: postgresStore({ connectionString }),
  taskQueue: `shop${NAMES}`,
  consumers: [billing, relay],
})
