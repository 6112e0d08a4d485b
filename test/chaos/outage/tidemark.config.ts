import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { consumer, defineConfig, type Message, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
import { batchMs, chunkSize, slices } from './ground.js'

/* What the workers work while Temporal is away: the same stream twice, with effects that happen once, and with a plain handler. */

const {
  DATABASE_URL: connectionString = '',
  KAFKA_BROKERS = '',
  CHAOS_TOPIC: topic = '',
  CHAOS_WORKER,
  CHAOS_HEARTBEAT = '',
} = process.env
const pool = new pg.Pool({ connectionString, max: 10 })
pool.on('error', () => {})

const insert = `insert into effects (consumer, partition, off, worker) select $1, $2, off, $4 from unnest($3::bigint[]) as m(off)`
const effects = (name: string, messages: readonly Message[]) => [
  name,
  messages[0]!.partition,
  messages.map(({ offset }) => String(offset)),
  CHAOS_WORKER,
]

const common = {
  source: kafka({ brokers: KAFKA_BROKERS.split(','), topic }),
  heartbeatTimeout: CHAOS_HEARTBEAT as '5s',
  slices,
  batch: { maxDuration: batchMs, idleGap: '1s' },
  chunk: { maxMessages: chunkSize },
} as const

export default defineConfig({
  store: [postgresStore({ connectionString })],
  consumers: [
    consumer({
      ...common,
      group: 'exact',
      handler: transactional(async (messages, { tx }) => {
        await tx.query(insert, effects('exact', messages))
      }),
    }),
    consumer({
      ...common,
      group: 'plain',
      handler: async (messages) => {
        await pool.query(insert, effects('plain', messages))
        // The chunk is in hand for a while.
        await sleep(20)
      },
    }),
  ],
})
