import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore, postgresStream } from 'tidemark/postgres'
import { rabbitmq } from 'tidemark/rabbitmq'

/* What a worker works while clocks are set: the log that CLOCKS_LOG names, with effects that say what time the worker takes it to be. */

const { DATABASE_URL = '', CLOCKS_LOG = '', CLOCKS_ADDRESS = '', CLOCKS_STREAM = '' } = process.env

const sources: Record<string, () => ReturnType<typeof kafka>> = {
  kafka: () => kafka({ brokers: [CLOCKS_ADDRESS], topic: CLOCKS_STREAM }),
  postgres: () => postgresStream({ connectionString: CLOCKS_ADDRESS, stream: CLOCKS_STREAM }),
  rabbitmq: () => rabbitmq({ url: CLOCKS_ADDRESS, stream: CLOCKS_STREAM }),
}

export default defineConfig({
  store: postgresStore({ connectionString: DATABASE_URL }),
  consumers: [
    consumer({
      group: 'clocks',
      source: sources[CLOCKS_LOG]!(),
      heartbeatTimeout: '5s',
      batch: { maxDuration: '3s', idleGap: '500ms' },
      chunk: { maxMessages: 50 },
      handler: transactional(async (messages, { tx }) => {
        await tx.query(
          'insert into effects (partition, off, worker_ms) select $1, off, $3 from unnest($2::bigint[]) as m(off)',
          [messages[0]!.partition, messages.map(({ offset }) => String(offset)), Date.now()],
        )
      }),
    }),
  ],
})
