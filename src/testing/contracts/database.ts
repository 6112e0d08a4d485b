import type { DatabaseHarness } from './database-harness.js'
import type { TestFramework } from './framework.js'
import { lettersSuite } from './letters.js'
import { letterRequestsSuite } from './letters-requests.js'
import { troublesSuite } from './troubles.js'

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
