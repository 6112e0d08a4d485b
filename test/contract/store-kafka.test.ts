import { type Admin, Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import * as vitest from 'vitest'
import { afterAll, beforeAll } from 'vitest'
import { kafkaStore } from '../../src/entry/kafka.js'
import { postgresDatabase } from '../../src/entry/postgres.js'
import { verifyStore } from '../../src/testing/contracts/store.js'
import type { StoreHarness } from '../../src/testing/contracts/store-harness.js'
import { emptyDatabase } from '../support/empty-database.js'
import { makeTopics } from '../support/make-topics.js'
import { describeWith, part } from '../support/parts.js'
import { prefixed, renamedStore, spelled } from '../support/renamed-store.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'

/** Every stream that the contract names; Kafka keeps offsets only for topics that are there. */
const streams = ['orders', 'bills', ...["it's", 'a/b', 'a', '"q"', 'ü', 'A', '%'].map((name) => `${name}.s`)]

describeWith(['kafka', 'postgres'], 'Kafka', () => {
  let admin: Admin
  const topics = spelled(`${unique('store')}-`)

  beforeAll(async () => {
    admin = new Kafka({ brokers: [...part('kafka').brokers], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await makeTopics(
      admin,
      streams.map((stream) => ({ topic: topics.inside(stream), numPartitions: 5 })),
    )
  })
  afterAll(async () => {
    await admin.deleteTopics({ topics: streams.map((stream) => topics.inside(stream)) })
    await admin.disconnect()
  })

  const open = async (): Promise<StoreHarness> => {
    const { connectionString, drop } = await emptyDatabase()
    const { brokers } = part('kafka')
    // The broker is shared by many tests, each of which has groups of its own.
    const groups = prefixed(`${unique('group')} `)
    let clients = 0
    return {
      connect: async () => {
        // Clients with the same options share a pool; another application name keeps these apart, as processes are.
        const own = `${connectionString}?application_name=client-${++clients}`
        const store = kafkaStore({ brokers, database: postgresDatabase({ connectionString: own }) })
        const client = await store.connect({ log: silentLog(), signal: new AbortController().signal })
        return renamedStore(client, groups, topics)
      },
      // What Tidemarks may disagree about is the database's schema.
      changeByNewerTidemark: async () => {
        const client = new pg.Client({ connectionString })
        await client.connect()
        await client.query(
          `insert into tidemark.migrations (id, name, breaking) values (9999, 'from the future', true)`,
        )
        await client.end()
      },
      close: async () => {
        const all = (await admin.listGroups()).groups.map(({ groupId }) => groupId)
        const ours = all.filter((name) => groups.outside(name) !== null)
        if (ours.length > 0) await admin.deleteGroups(ours)
        await drop()
      },
    }
  }
  verifyStore(vitest, 'Kafka', open)
})
