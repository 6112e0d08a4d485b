import { consumer, deadLetter, defineConfig, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
import { behave, decode, type Told } from './behaviour.js'
import type { Order } from './natures.js'

const {
  DATABASE_URL,
  KAFKA_BROKERS,
  CHAOS_TOPIC,
  CHAOS_WORKER,
  CHAOS_CHUNK,
  CHAOS_CHUNK_MS,
  CHAOS_HEARTBEAT,
  CHAOS_FOLDER,
  CHAOS_SERVICE,
} = process.env

const heartbeatMs = Number(CHAOS_HEARTBEAT)
const told: Told = { folder: CHAOS_FOLDER!, serviceUrl: CHAOS_SERVICE!, blockMs: 2.5 * heartbeatMs }

/* Messages that fail in all ways; what they do is in their values. */
export default defineConfig({
  store: postgresStore({ connectionString: DATABASE_URL }),
  consumers: [
    consumer({
      group: 'chaos',
      source: kafka<Order>({
        brokers: KAFKA_BROKERS!.split(','),
        topic: CHAOS_TOPIC!,
        value: (bytes) => decode(bytes, told),
      }),
      slices: 4,
      heartbeatTimeout: `${heartbeatMs}ms`,
      batch: { maxDuration: '5s', idleGap: '300ms' },
      chunk: { maxMessages: Number(CHAOS_CHUNK), targetDuration: '1s' },
      chunkTimeout: '2s',
      retry: { attempts: 3, initialInterval: '200ms' },
      afterLastTry: deadLetter(),
      handler: transactional<Order>(async (messages, { tx, partition }) => {
        for (const { value } of messages) await behave(value, messages.length === 1, told)
        await tx.query(
          `insert into effects (partition, off, id, key, worker)
           select $1, off, id, key, $5 from unnest($2::bigint[], $3::int[], $4::int[]) as m(off, id, key)`,
          [
            partition,
            messages.map(({ offset }) => String(offset)),
            messages.map(({ value }) => value.id),
            messages.map(({ value }) => value.key),
            CHAOS_WORKER,
          ],
        )
        await tx.query('select pg_sleep($1)', [Number(CHAOS_CHUNK_MS) / 1000])
      }),
    }),
  ],
})
