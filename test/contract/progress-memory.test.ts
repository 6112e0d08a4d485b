import { type MemoryTransaction, memoryStore } from '../../src/entry/testing.js'
import type { Transaction } from '../../src/ports/index.js'
import { silentLog } from '../support/silent-log.js'
import { type ProgressHarness, progressContract } from './progress-contract.js'

progressContract('memory', async (): Promise<ProgressHarness<Transaction>> => {
  const store = memoryStore()
  return {
    connect: async () => store.database.connect({ log: silentLog(), signal: new AbortController().signal }),
    write: async (tx: Transaction, effects) => {
      for (const effect of effects) (tx.client as MemoryTransaction).write(effect)
    },
    spoil: (tx) => tx.query('anything'),
    effects: async () => (store.written as number[]).toSorted((a, b) => a - b),
    clear: async () => {
      store.clear()
    },
    close: async () => {},
  }
})
