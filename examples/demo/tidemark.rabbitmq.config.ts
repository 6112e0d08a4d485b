import { consumer, defineConfig } from 'tidemark'
import { postgresStore } from 'tidemark/postgres'
import { json, rabbitmq } from 'tidemark/rabbitmq'
import { bookDeposits, type Deposit } from './deposits.js'

const url = process.env.RABBITMQ_URL ?? 'rabbitmq-stream://guest:guest@127.0.0.1:5552'

export default defineConfig({
  // Keeps the offsets; the handler's table lives in the same database, so that both change in one transaction.
  store: postgresStore({ connectionString: process.env.DATABASE_URL }),
  consumers: [
    consumer({
      group: 'bank',
      source: rabbitmq({ url, superStream: 'deposits', value: json<Deposit>() }),
      handler: bookDeposits,
      // A killed worker's partitions move on after so long. The default, 10s, also forgives a slow machine.
      heartbeatTimeout: '3s',
    }),
  ],
})
