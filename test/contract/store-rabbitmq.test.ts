import pg from 'pg'
import type { Client } from 'rabbitmq-stream-js-client'
import * as vitest from 'vitest'
import { afterAll, beforeAll } from 'vitest'
import { postgresDatabase } from '../../src/entry/postgres.js'
import { rabbitmqStore } from '../../src/entry/rabbitmq.js'
import { verifyStore } from '../../src/testing/contracts/store.js'
import type { StoreHarness } from '../../src/testing/contracts/store-harness.js'
import { emptyDatabase } from '../support/empty-database.js'
import { describeWith, part } from '../support/parts.js'
import { rabbitmqClient } from '../support/rabbitmq-ground.js'
import { prefixed, renamedStore, spelled } from '../support/renamed-store.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'

/** Every stream that the contract names, and how many partitions of it: offsets are kept with the streams themselves. */
const streams = {
  orders: 5,
  bills: 1,
  ...Object.fromEntries(["it's", 'a/b', 'a', '"q"', 'ü', 'A', '%'].map((name) => [`${name}.s`, 2])),
}

describeWith(['rabbitmq', 'postgres'], 'RabbitMQ', () => {
  let client: Client
  const names = spelled(`${unique('store')}-`)

  beforeAll(async () => {
    client = await rabbitmqClient()
    for (const [stream, partitions] of Object.entries(streams)) {
      const name = names.inside(stream)
      if (partitions === 1) await client.createStream({ stream: name, arguments: {} })
      else await client.createSuperStream({ streamName: name, arguments: {} }, undefined, partitions)
    }
  })
  afterAll(async () => {
    for (const [stream, partitions] of Object.entries(streams)) {
      const name = names.inside(stream)
      if (partitions === 1) await client.deleteStream({ stream: name })
      else await client.deleteSuperStream({ streamName: name })
    }
    await client.close()
  })

  const open = async (): Promise<StoreHarness> => {
    const { connectionString, drop } = await emptyDatabase()
    const { url } = part('rabbitmq')
    // The streams keep what every test has left, each under groups of its own.
    const groups = prefixed(`${unique('group')} `)
    let clients = 0
    return {
      connect: async () => {
        // Clients with the same options share a pool; another application name keeps these apart, as processes are.
        const own = `${connectionString}?application_name=client-${++clients}`
        const store = rabbitmqStore({ url, database: postgresDatabase({ connectionString: own }) })
        const connected = await store.connect({ log: silentLog(), signal: new AbortController().signal })
        return renamedStore(connected, groups, names)
      },
      // What Tidemarks may disagree about is the database's schema.
      changeByNewerTidemark: async () => {
        const db = new pg.Client({ connectionString })
        await db.connect()
        await db.query(`insert into tidemark.migrations (id, name, breaking) values (9999, 'from the future', true)`)
        await db.end()
      },
      close: drop,
    }
  }
  verifyStore(vitest, 'RabbitMQ', open)
})
