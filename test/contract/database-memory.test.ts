import * as vitest from 'vitest'
import { memoryStore } from '../../src/entry/testing.js'
import { verifyDatabase } from '../../src/testing/contracts/database.js'
import type { DatabaseHarness } from '../../src/testing/contracts/database-harness.js'
import { silentLog } from '../support/silent-log.js'

verifyDatabase(vitest, 'memory', async (): Promise<DatabaseHarness> => {
  const store = memoryStore()
  return {
    connect: () => store.database.connect({ log: silentLog(), signal: new AbortController().signal }),
    close: async () => {},
  }
})
