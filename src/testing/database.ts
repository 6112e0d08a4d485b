import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import type { Database, OffsetStore } from '../ports/index.js'
import { howToHaveOne } from './have-postgres.js'
import type { TestSettings } from './options.js'

/** A Postgres database for the handlers of one kit, and for its offsets. */
export interface TestDatabase {
  readonly store: OffsetStore
  readonly database: Database
  /** Of Tidemark's tables. */
  readonly schema: string
  query(sql: string, values?: readonly unknown[]): Promise<object[]>
  /** Begins to make the database of the next kit. */
  makeNext(): void
  close(): Promise<void>
}

/** A Postgres that this process has started, for all of its kits. It ends with the process. */
let own: Promise<string> | undefined

/**
 * The database that a config's transactional handlers need; undefined where memory is enough.
 *
 * @throws TidemarkError CONFIG_INVALID where there is no Postgres; UNREACHABLE where it can't be used
 */
export async function openTestDatabase(
  config: ParsedConfig,
  { database: running, setup }: Pick<TestSettings, 'database' | 'setup'>,
): Promise<TestDatabase | undefined> {
  const wanting = config.consumers.flatMap((consumer) => databaseOf(config, consumer) ?? [])
  if (wanting.length === 0) return undefined
  // Handlers may look for Tidemark's own tables under the name that they know.
  const schema = wanting.map(({ describe }) => describe.schema).find((name) => typeof name === 'string')
  // Loaded where they are needed: most kits have no use for a database's driver.
  const [server, { postgresDatabase, postgresStore }, { makeSpare, returnDatabase, takeDatabase }] = await Promise.all([
    running ?? ownServer(),
    import('../postgres/store/store.js'),
    import('./spare-databases.js'),
  ])
  const wanted = { server, own: running === undefined, schema, setup }
  const taken = await takeDatabase(wanted)
  return {
    store: postgresStore(taken.options),
    database: postgresDatabase(taken.options),
    schema: schema ?? 'tidemark',
    query: (sql, values) => taken.query(sql, values),
    makeNext: () => makeSpare(wanted),
    close: () => returnDatabase(taken),
  }
}

/** What a consumer's handler writes to, unless that is memory. */
function databaseOf({ store }: ParsedConfig, { handler }: ParsedConsumer): Database | undefined {
  if (handler.kind !== 'transactional') return undefined
  const database = handler.database ?? store.database
  return database.kind === 'memory' ? undefined : database
}

function ownServer(): Promise<string> {
  own ??= startServer().catch((error: unknown) => {
    own = undefined
    const what = isTidemarkError(error) && error.code === 'CONFIG_INVALID' ? 'there is none' : messageOf(error)
    throw new TidemarkError('CONFIG_INVALID', `transactional handlers need a Postgres (${what}): ${howToHaveOne}`, {
      cause: error,
    })
  })
  return own
}

async function startServer(): Promise<string> {
  const [{ startPostgres }, { postgresPrograms }] = await Promise.all([
    import('../local/postgres.js'),
    import('../local/postgres-program.js'),
  ])
  return (await startPostgres(await postgresPrograms(), { durable: false })).connectionString
}
