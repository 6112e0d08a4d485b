import * as vitest from 'vitest'
import { memoryStore } from '../../src/entry/testing.js'
import { type DatabaseHarness, verifyDatabase } from '../../src/testing/contracts/database.js'
import { silentLog } from '../support/silent-log.js'

verifyDatabase(vitest, 'memory', async (): Promise<DatabaseHarness> => {
  const store = memoryStore()
  return {
    connect: () => store.database.connect({ log: silentLog(), signal: new AbortController().signal }),
    close: async () => {},
  }
})
