import type { ConnectContext, Database, DatabaseClient, OffsetStore, OffsetStoreClient } from '../../ports/index.js'
import { RuledGroupRecords } from '../../storing/group-records.js'
import {
  describePostgres,
  noted,
  type PostgresOptions,
  type PostgresSettings,
  parsePostgres,
} from '../client/options.js'
import { openPool, postgresError } from '../client/pool.js'
import { PostgresLetters } from '../letters/letters.js'
import { migrate } from '../tables/migrate.js'
import { PostgresChanges } from './changes.js'
import { PostgresGroups } from './groups.js'
import { PostgresOffsets } from './offsets.js'
import { PostgresPartitions } from './partitions.js'
import { PostgresProgress } from './progress.js'
import { PostgresTroubles } from './troubles.js'

/**
 * Keeps consumer offsets in a Postgres. Handlers made with `transactional` write to the same database unless they name
 * another one.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function postgresStore(options: PostgresOptions): OffsetStore {
  const settings = parsePostgres('postgresStore', options)
  return noted<OffsetStore>(
    {
      kind: 'postgres',
      describe: describePostgres(settings),
      database: databaseOf(settings),
      connect: async (context): Promise<OffsetStoreClient> => {
        const { control, close } = await openPool(settings, context)
        return new PostgresOffsets(control, settings, close)
      },
    },
    settings,
  )
}

/**
 * A Postgres that handlers write to, for `transactional(handler, { database })` where that is not the store's.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function postgresDatabase(options: PostgresOptions): Database {
  return databaseOf(parsePostgres('postgresDatabase', options))
}

function databaseOf(settings: PostgresSettings): Database {
  return noted<Database>(
    {
      kind: 'postgres',
      describe: describePostgres(settings),
      connect: async (context: ConnectContext): Promise<DatabaseClient> => {
        const { pool, control, close } = await openPool(settings, context)
        try {
          await migrate(control, settings.schema)
        } catch (error) {
          await close()
          throw postgresError(error, settings)
        }
        return {
          progress: new PostgresProgress({ pool, control }, settings, context.log),
          groups: new RuledGroupRecords(new PostgresGroups(control, settings)),
          changes: new PostgresChanges(control, settings),
          partitions: new PostgresPartitions(control, settings),
          troubles: new PostgresTroubles(control, settings),
          letters: new PostgresLetters({ pool, control }, settings),
          close,
        }
      },
    },
    settings,
  )
}
