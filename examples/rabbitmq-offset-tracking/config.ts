import { consumer, defineConfig, everyN, type Message } from 'tidemark'
import { postgresDatabase, postgresStore } from 'tidemark/postgres'
import { rabbitmq, rabbitmqStore, text } from 'tidemark/rabbitmq'
import { connectionString, marker, stream, url } from './places.js'

/**
 * A group that reads the stream up to the next marker. With `tracking` it keeps its offset where RabbitMQ's own clients keep theirs: in
 * the stream, where each note takes an offset itself. Else in Postgres, and the stream stays as it is.
 */
export function configOf(group: string, tracking: boolean, handle: (message: Message<string>) => Promise<void>) {
  return defineConfig({
    store: tracking
      ? rabbitmqStore({ url, database: postgresDatabase({ connectionString }) })
      : postgresStore({ connectionString }),
    taskQueue: group,
    connectTimeout: '10s',
    consumers: [
      consumer({
        group,
        source: rabbitmq({ url, stream, value: text(), groupOffsets: tracking }),
        handler: async (messages) => {
          for (const message of messages) await handle(message)
        },
        // Every tenth message, and the marker. After a crash at most ten come again.
        commit: everyN(10),
        until: ({ value }) => value === marker,
        // A receiver that is started again after a crash goes on when the crashed one has been silent for so long.
        heartbeatTimeout: '3s',
      }),
    ],
  })
}
