import { unique } from './unique.js'

/** Pieces of a config's text, each an expression. */
export interface Written {
  readonly topic?: string
  readonly handler?: string
  readonly value?: string
  readonly more?: string
}

/** A consumer of group `bank`. */
export function consumerOf({ topic, handler = 'async () => {}', value = 'json()', more = '' }: Written): string {
  const source = `kafka({ brokers: process.env.KAFKA_BROKERS!.split(','), topic: '${topic}', value: ${value} })`
  return `consumer({ group: 'bank', source: ${source}, handler: ${handler}, ${more} })`
}

/** A config of one consumer, or of those given, that finds Postgres and Kafka through its environment. */
export function configOf(written: Written & { readonly consumers?: string[]; readonly queue?: string }): string {
  return `
    import { consumer, defineConfig, transactional } from 'tidemark'
    import { json, kafka, text } from 'tidemark/kafka'
    import { postgresStore } from 'tidemark/postgres'

    export default defineConfig({
      store: postgresStore({ connectionString: process.env.DATABASE_URL }),
      connectTimeout: '3s',
      taskQueue: '${written.queue ?? unique('queue')}',
      consumers: [${(written.consumers ?? [consumerOf(written)]).join()}],
    })`
}
