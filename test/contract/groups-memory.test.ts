import { memoryStore } from '../../src/entry/testing.js'
import { silentLog } from '../support/silent-log.js'
import { type GroupsHarness, groupsContract } from './groups-contract.js'

groupsContract('memory', async (): Promise<GroupsHarness> => {
  const { database } = memoryStore()
  return {
    connect: () => database.connect({ log: silentLog(), signal: new AbortController().signal }),
    close: async () => {},
  }
})
