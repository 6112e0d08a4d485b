import { consumer, defineConfig } from 'tidemark'
import { postgresStore } from 'tidemark/postgres'
import { rabbitmq } from 'tidemark/rabbitmq'
import { bill, type Order } from './billing.js'

const {
  RABBITMQ_URL = 'rabbitmq-stream://app:app@127.0.0.1:5552',
  DATABASE_URL = 'postgres://app:app@127.0.0.1:5432/app',
} = process.env

export default defineConfig({
  store: postgresStore({ connectionString: DATABASE_URL }),
  consumers: [
    consumer<Order>({
      group: 'billing',
      source: rabbitmq({ url: RABBITMQ_URL, superStream: 'orders' }),
      handler: bill,
    }),
  ],
})
