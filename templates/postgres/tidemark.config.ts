import { consumer, defineConfig } from 'tidemark'
import { postgresStore, postgresStream } from 'tidemark/postgres'
import { bill, type Order } from './billing.js'

const { DATABASE_URL: connectionString = 'postgres://app:app@127.0.0.1:5432/app' } = process.env

export default defineConfig({
  store: postgresStore({ connectionString }),
  consumers: [
    consumer<Order>({
      group: 'billing',
      source: postgresStream({ connectionString, stream: 'orders', partitions: 4 }),
      handler: bill,
    }),
  ],
})
