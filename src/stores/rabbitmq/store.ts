import { isTidemarkError } from '../../model/errors.js'
import type { ConnectContext, OffsetStore } from '../../ports.js'
import { connected } from '../../sources/connected.js'
import { rabbitmqError } from '../../sources/rabbitmq/failures.js'
import { Links } from '../../sources/rabbitmq/links.js'
import { RabbitmqOffsets } from './offsets.js'
import { parseRabbitmqStore, type RabbitmqStoreOptions } from './options.js'
import { Records } from './records.js'

/**
 * Keeps positions where plain RabbitMQ consumers keep them: in the tracking of the streams themselves. Progress of handlers still
 * lives in `database`, beside their writes.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function rabbitmqStore(options: RabbitmqStoreOptions): OffsetStore {
  const { connection, database } = parseRabbitmqStore(options)
  const { host, port, vhost, username, ssl } = connection
  const broker = `${host}:${port}`
  return {
    kind: 'rabbitmq',
    describe: { broker, vhost, username, tls: ssl !== null },
    database,
    connect: async (context: ConnectContext) => {
      const links = new Links(connection)
      const client = new RabbitmqOffsets(new Records(links), `${broker}/${vhost}`, () => database.connect(context))
      return connected(client, context.signal, async () => {
        // To be connected is all that is asked of the broker.
        await links.seed().catch((error) => {
          throw rabbitmqError(error, connection)
        })
        await client.database().catch((error) => {
          // What is wrong with the tables is for `migrate` to say.
          if (!isTidemarkError(error) || error.code !== 'SCHEMA_TOO_NEW') throw error
        })
      })
    },
  }
}
