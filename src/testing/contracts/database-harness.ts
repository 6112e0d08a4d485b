import type { DatabaseClient } from '../../ports/index.js'

/** What a kind of database brings to be tested. */
export interface DatabaseHarness {
  /** A client with connections of its own. */
  connect(): Promise<DatabaseClient>
  close(): Promise<void>
}
