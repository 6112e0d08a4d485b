import { z } from 'zod'
import { transactionalFields } from '../../src/config/handlers.js'
import { configSchema, consumerSchema } from '../../src/config/parse.js'
import { connectionFields as kafkaConnection, kafkaSchema } from '../../src/kafka/client/options.js'
import { kafkaOutputSchema } from '../../src/kafka/output/options.js'
import { postgresFields } from '../../src/postgres/client/options.js'
import { streamSchema } from '../../src/postgres/source/options.js'
import { connectionFields as rabbitmqConnection, rabbitmqSchema } from '../../src/rabbitmq/client/options.js'

/** Something that takes options: where they are declared, and what checks them. */
export interface Section {
  readonly title: string
  readonly from: string
  readonly intro: string
  readonly file: string
  readonly interfaceName: string
  readonly schema: z.core.$ZodType
}

const database = { database: z.unknown() }

export const sections: readonly Section[] = [
  {
    title: 'defineConfig',
    from: 'tidemark',
    intro: 'What one worker runs: the default export of `tidemark.config.ts`.',
    file: 'src/config/options.ts',
    interfaceName: 'TidemarkOptions',
    schema: configSchema,
  },
  {
    title: 'consumer',
    from: 'tidemark',
    intro: 'One group that reads one stream.',
    file: 'src/config/options.ts',
    interfaceName: 'ConsumerOptions',
    schema: consumerSchema,
  },
  {
    title: 'transactional',
    from: 'tidemark',
    intro: 'Options behind the handler: `transactional(handler, { database })`.',
    file: 'src/handlers/handler.ts',
    interfaceName: 'TransactionalOptions',
    schema: z.strictObject(Object.fromEntries(transactionalFields.map((name) => [name, z.unknown()]))),
  },
  {
    title: 'kafka',
    from: 'tidemark/kafka',
    intro: 'A Kafka topic as the source.',
    file: 'src/kafka/client/options.ts',
    interfaceName: 'KafkaOptions',
    schema: kafkaSchema,
  },
  {
    title: 'kafkaOutput',
    from: 'tidemark/kafka',
    intro: 'A Kafka cluster that handlers write to with `produce` ([producing](producing.md)).',
    file: 'src/kafka/output/options.ts',
    interfaceName: 'KafkaOutputOptions',
    schema: kafkaOutputSchema,
  },
  {
    title: 'kafkaStore',
    from: 'tidemark/kafka',
    intro: "Keeps offsets as the group's own in Kafka ([stores](offsets.md#stores)).",
    file: 'src/kafka/store/options.ts',
    interfaceName: 'KafkaStoreOptions',
    schema: z.strictObject({ ...kafkaConnection, ...database }),
  },
  {
    title: 'rabbitmq',
    from: 'tidemark/rabbitmq',
    intro: 'A RabbitMQ stream or super stream as the source.',
    file: 'src/rabbitmq/client/options.ts',
    interfaceName: 'RabbitmqOptions',
    schema: rabbitmqSchema,
  },
  {
    title: 'rabbitmqStore',
    from: 'tidemark/rabbitmq',
    intro: "Keeps offsets in the streams' own tracking ([stores](offsets.md#stores)).",
    file: 'src/rabbitmq/store/options.ts',
    interfaceName: 'RabbitmqStoreOptions',
    schema: z.strictObject({ ...rabbitmqConnection, ...database }),
  },
  {
    title: 'postgresStore, postgresDatabase',
    from: 'tidemark/postgres',
    intro:
      "A Postgres that keeps offsets, and one that handlers write to where that is not the store's. Both take the same options.",
    file: 'src/postgres/client/options.ts',
    interfaceName: 'PostgresOptions',
    schema: z.strictObject(postgresFields),
  },
  {
    title: 'postgresStream',
    from: 'tidemark/postgres',
    intro: 'An event stream in a Postgres table as the source.',
    file: 'src/postgres/source/options.ts',
    interfaceName: 'PostgresStreamOptions',
    schema: streamSchema,
  },
]
