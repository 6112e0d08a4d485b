import { consumer, defineConfig } from 'tidemark'
import { postgresStore, postgresStream } from 'tidemark/postgres'
import { bookDeposits, type Deposit } from './deposits.js'

const connectionString = process.env.DATABASE_URL

export default defineConfig({
  // Keeps the offsets; the handler's table lives in the same database, so that both change in one transaction.
  store: postgresStore({ connectionString }),
  consumers: [
    consumer({
      group: 'bank',
      source: postgresStream<Deposit>({ connectionString, stream: 'deposits', partitions: 4 }),
      handler: bookDeposits,
      // A killed worker's partitions move on after so long. The default, 10s, also forgives a slow machine.
      heartbeatTimeout: '3s',
    }),
  ],
})
