import * as vitest from 'vitest'
import { memoryStore } from '../../src/entry/testing.js'
import { verifyStore } from '../../src/testing/contracts/store.js'
import type { StoreHarness } from '../../src/testing/contracts/store-harness.js'
import { silentLog } from '../support/silent-log.js'

const open = async (): Promise<StoreHarness> => {
  const store = memoryStore()
  return {
    connect: () => store.connect({ log: silentLog(), signal: new AbortController().signal }),
    close: async () => {},
  }
}
verifyStore(vitest, 'memory', open, { lasting: false })
