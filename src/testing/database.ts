import type { ParsedConfig, ParsedConsumer } from '../config/parse.js'
import type { Database, OffsetStore } from '../ports/index.js'
import type { TestSettings } from './options.js'

/** A Postgres for the handlers of one kit. */
export interface TestDatabase {
  readonly store: OffsetStore
  readonly database: Database
  query(sql: string, values: readonly unknown[]): Promise<object[]>
  close(): Promise<void>
}

/** The database that a config's transactional handlers need; undefined where they need none but memory. */
export async function openTestDatabase(
  config: ParsedConfig,
  _settings: TestSettings,
): Promise<TestDatabase | undefined> {
  if (!config.consumers.some((consumer) => writesToDatabase(config, consumer))) return undefined
  throw new Error('not yet')
}

function writesToDatabase({ store }: ParsedConfig, { handler }: ParsedConsumer): boolean {
  if (handler.kind !== 'transactional') return false
  return (handler.database ?? store.database).kind !== 'memory'
}
