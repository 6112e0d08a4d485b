import { secretsOf } from '../../model/secrets.js'
import type { ConnectContext, OffsetStore } from '../../ports/index.js'
import { connected } from '../../reading/connected.js'
import { Beside } from '../../storing/beside.js'
import { Brokers } from '../client/brokers.js'
import { Connector } from '../client/driver.js'
import { LinkPool } from '../client/link-pool.js'
import { noted } from '../client/options.js'
import { GroupOffsets } from './group-offsets.js'
import { KafkaOffsets } from './offsets.js'
import { type KafkaStoreOptions, parseKafkaStore } from './options.js'

/**
 * Keeps positions where plain Kafka consumers keep them: in the group's own offsets. Progress of handlers still lives in
 * `database`, beside their writes. The group must have no other consumers.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function kafkaStore(options: KafkaStoreOptions): OffsetStore {
  const { connection, database } = parseKafkaStore(options)
  const { brokers, ssl, sasl } = connection
  return noted<OffsetStore>(
    {
      kind: 'kafka',
      describe: { brokers, tls: ssl !== undefined && ssl !== false, sasl: sasl?.mechanism ?? null },
      database,
      connect: async (context: ConnectContext) => {
        const { log, signal } = context
        const links = new LinkPool(new Connector(connection, log))
        const cluster = { brokers, ...(sasl ? { sasl } : {}) }
        const known = new Brokers(links, cluster)
        const beside = new Beside(() => database.connect(context))
        const client = new KafkaOffsets(GroupOffsets.over(links, known, cluster), brokers.join(), beside, () =>
          links.close(),
        )
        return connected(client, signal, async () => {
          // To be connected is all that is asked of the broker.
          await known.ask(async () => {})
          await beside.check()
        })
      },
    },
    connection,
    secretsOf(database),
  )
}
