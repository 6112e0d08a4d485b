import { consumer, defineConfig } from 'tidemark'
import { json, kafka } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
import { bookDeposits, type Deposit } from './deposits.js'

const brokers = process.env.KAFKA_BROKERS?.split(',') ?? ['127.0.0.1:9092']

export default defineConfig({
  // Keeps the offsets; the handler's table lives in the same database, so that both change in one transaction.
  store: postgresStore({ connectionString: process.env.DATABASE_URL }),
  consumers: [
    consumer({
      group: 'bank',
      source: kafka({ brokers, topic: 'deposits', value: json<Deposit>() }),
      handler: bookDeposits,
      // A killed worker's partitions move on after so long. The default, 10s, also forgives a slow machine.
      heartbeatTimeout: '3s',
    }),
  ],
})
