import { consumer, defineConfig } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
import { bill, type Order } from './billing.js'

const { KAFKA_BROKERS = '127.0.0.1:9092', DATABASE_URL = 'postgres://app:app@127.0.0.1:5432/app' } = process.env

export default defineConfig({
  store: postgresStore({ connectionString: DATABASE_URL }),
  consumers: [
    consumer<Order>({
      group: 'billing',
      source: kafka({ brokers: KAFKA_BROKERS.split(','), topic: 'orders' }),
      handler: bill,
    }),
  ],
})
