import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
import { fromRegistry } from './from-registry.js'

interface Order {
  readonly id: string
  readonly amount: number
}

export default defineConfig({
  store: postgresStore({ connectionString: process.env.DATABASE_URL }),
  consumers: [
    consumer({
      group: 'billing',
      source: kafka({
        brokers: process.env.KAFKA_BROKERS?.split(',') ?? ['127.0.0.1:9092'],
        topic: process.env.TOPIC ?? 'orders',
        value: fromRegistry<Order>(process.env.SCHEMA_REGISTRY ?? 'http://127.0.0.1:8081'),
        decodeTimeout: '10s',
      }),
      handler: transactional(async (orders, { tx }) => {
        await tx.query('insert into orders (id, amount) select * from unnest($1::text[], $2::int[])', [
          orders.map(({ value }) => value.id),
          orders.map(({ value }) => value.amount),
        ])
      }),
    }),
  ],
})
