import { consumer, defineConfig } from 'tidemark'
import { json, kafka, kafkaOutput } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
import { enrich, type Reading } from './enrich.js'

const brokers = process.env.KAFKA_BROKERS?.split(',') ?? ['127.0.0.1:9092']
/** Names the topics of one run. */
const run = process.env.RUN ?? ''

export default defineConfig({
  store: postgresStore({ connectionString: process.env.DATABASE_URL }),
  taskQueue: `enrich${run}`,
  consumers: [
    consumer({
      group: `enrich${run}`,
      source: kafka({ brokers, topic: `readings${run}`, value: json<Reading>() }),
      output: kafkaOutput({ brokers, compression: 'gzip' }),
      // Outputs and progress are one Kafka transaction: who reads committed data sees each output once.
      transactional: 'kafka',
      handler: enrich({ enriched: `enriched${run}`, alerts: `alerts${run}` }),
      chunk: { maxMessages: 1_000 },
      // A killed worker's partitions move on after so long. The default, 10s, also forgives a slow machine.
      heartbeatTimeout: '2s',
    }),
  ],
})
