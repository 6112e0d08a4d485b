import type { DatabaseClient } from '../../ports/index.js'
import type { TestFramework } from './framework.js'
import { lettersSuite } from './letters.js'
import { letterRequestsSuite } from './letters-requests.js'
import { troublesSuite } from './troubles.js'

/** What a kind of database brings to be tested. */
export interface DatabaseHarness {
  /** A client with connections of its own. */
  connect(): Promise<DatabaseClient>
  close(): Promise<void>
}

/**
 * The suites of what a handlers' database keeps of failures: what partitions can't get past, and dead letters. They define their tests when
 * this is called.
 *
 * @param framework `{ describe, it, expect, beforeAll, afterAll, beforeEach, afterEach }`
 * @param kind names the database in the tests' titles
 */
export function verifyDatabase(framework: TestFramework, kind: string, open: () => Promise<DatabaseHarness>): void {
  troublesSuite(framework, kind, open)
  lettersSuite(framework, kind, open)
  letterRequestsSuite(framework, kind, open)
}
