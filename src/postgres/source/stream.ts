import type { ConnectContext, Source, SourceClient } from '../../ports/index.js'
import { decodingFor } from '../../reading/late-value.js'
import { describePostgres, noted } from '../client/options.js'
import { openPool, postgresError } from '../client/pool.js'
import { putStream } from '../output/create-stream.js'
import { tablesIn } from '../tables/event-tables.js'
import { migrate } from '../tables/migrate.js'
import { PostgresStreamClient, streamNotFound } from './client.js'
import { type PostgresStreamOptions, type PostgresStreamSettings, parseStream } from './options.js'

/**
 * A stream of events in a Postgres, appended with `appendEvents` or by SQL: the log of those who have a database and no
 * broker, and an outbox where it is the database of the writes.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function postgresStream<V = unknown>(options: PostgresStreamOptions<V>): Source<V> {
  const settings = parseStream(options)
  return noted<Source<V>>(
    {
      kind: 'postgres',
      stream: settings.stream,
      decoding: settings.decoding,
      describe: { ...describePostgres(settings), value: settings.decoding.codec.name },
      connect: (context) => connect({ ...settings, decoding: decodingFor(context.values, settings.decoding) }, context),
    },
    settings,
  )
}

async function connect<V>(settings: PostgresStreamSettings<V>, context: ConnectContext): Promise<SourceClient<V>> {
  const { schema, stream, partitions } = settings
  const { streams, events } = tablesIn(schema)
  const postgres = await openPool(settings, context)
  try {
    await migrate(postgres.pool, schema)
    const present = await postgres.pool.query(`select 1 from ${streams} where stream = $1`, [stream])
    if (partitions !== undefined) {
      const { keysMoved } = await putStream(postgres.pool, { stream, partitions, schema })
      if (keysMoved !== null) context.log.warn({ stream }, keysMoved)
    } else if (present.rows.length === 0) throw streamNotFound(settings)
    const { rows } = await postgres.pool.query<{ channel: string }>(
      `select 'tidemark_' || $1::regclass::oid as channel`,
      [events],
    )
    return new PostgresStreamClient(postgres, settings, rows[0]!.channel, context)
  } catch (error) {
    await postgres.close()
    throw postgresError(error, settings)
  }
}
