import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresDatabase, postgresStore } from 'tidemark/postgres'

/*
 * What the workers of a chaos run work: every effect says who wrote it and when, so that the run can be judged afterwards.
 * The handler takes its time, so that there is always somebody in the middle of something to be killed.
 */
const {
  DATABASE_URL,
  CHAOS_STORE_URL,
  KAFKA_BROKERS,
  CHAOS_BATCH = '20000',
  CHAOS_TOPIC,
  CHAOS_WORKER,
  CHAOS_CHUNK,
  CHAOS_CHUNK_MS,
  CHAOS_HEARTBEAT,
  CHAOS_SLICES,
} = process.env

export default defineConfig({
  store: postgresStore({ connectionString: CHAOS_STORE_URL ?? DATABASE_URL }),
  consumers: [
    consumer({
      group: 'chaos',
      source: kafka<{ id: number }>({ brokers: KAFKA_BROKERS!.split(','), topic: CHAOS_TOPIC! }),
      heartbeatTimeout: CHAOS_HEARTBEAT!,
      ...(CHAOS_SLICES ? { slices: Number(CHAOS_SLICES) } : {}),
      batch: { maxMessages: Number(CHAOS_BATCH) },
      chunk: { maxMessages: Number(CHAOS_CHUNK) },
      handler: transactional<{ id: number }>(
        async (messages, { tx, partition, replay }) => {
          await tx.query(
            `insert into effects (partition, off, id, worker, replay)
           select $1, off, id, $4, $5 from unnest($2::bigint[], $3::int[]) as m(off, id)`,
            [
              partition,
              messages.map(({ offset }) => String(offset)),
              messages.map(({ value }) => value.id),
              CHAOS_WORKER,
              replay,
            ],
          )
          await tx.query('select pg_sleep($1)', [Number(CHAOS_CHUNK_MS) / 1000])
        },
        // Where the store has a database of its own.
        CHAOS_STORE_URL ? { database: postgresDatabase({ connectionString: DATABASE_URL }) } : {},
      ),
    }),
  ],
})
