import { memoryStore } from '../../src/entry/testing.js'
import { silentLog } from '../support/silent-log.js'
import { type StoreHarness, storeContract } from './store-contract.js'
import { storeResetContract } from './store-reset-contract.js'

const open = async (): Promise<StoreHarness> => {
  const store = memoryStore()
  return {
    connect: () => store.connect({ log: silentLog(), signal: new AbortController().signal }),
    close: async () => {},
  }
}
storeContract('memory', open, { lasting: false })
storeResetContract('memory', open)
