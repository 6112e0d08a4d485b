import { addressText } from '../../model/address.js'
import { secretsOf } from '../../model/secrets.js'
import type { ConnectContext, OffsetStore } from '../../ports/index.js'
import { connected } from '../../reading/connected.js'
import { Beside } from '../../storing/beside.js'
import { rabbitmqError } from '../client/failures.js'
import { Links } from '../client/links.js'
import { noted } from '../client/options.js'
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
  const broker = addressText({ host, port })
  return noted<OffsetStore>(
    {
      kind: 'rabbitmq',
      describe: { broker, vhost, username, tls: ssl !== null },
      database,
      connect: async (context: ConnectContext) => {
        const links = new Links(connection)
        const beside = new Beside(() => database.connect(context))
        const client = new RabbitmqOffsets(new Records(links), `${broker}/${vhost}`, beside)
        return connected(client, context.signal, async () => {
          // To be connected is all that is asked of the broker.
          await links.seed().catch((error) => {
            throw rabbitmqError(error, connection)
          })
          await beside.check()
        })
      },
    },
    connection,
    secretsOf(database),
  )
}
