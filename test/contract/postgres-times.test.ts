import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agesAt } from '../../src/client/age.js'
import { createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import type { OffsetStoreClient, SourceClient } from '../../src/ports/index.js'
import { rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'

const context = { log: silentLog(), signal: new AbortController().signal }
const key = { group: 'billing', stream: 'orders', partition: 0 }
const unlimited = { take: async () => ({ resize: () => {}, release: () => {} }) }

describeWith(['postgres'], 'times in Postgres that are none', () => {
  let database: FreshDatabase
  let source: SourceClient
  let store: OffsetStoreClient

  beforeAll(async () => {
    database = await freshDatabase()
    const { connectionString } = database
    await createStream(connectionString, { stream: key.stream, partitions: 1 })
    source = await postgresStream({ connectionString, stream: key.stream }).connect(context)
    store = await postgresStore({ connectionString }).connect(context)
    await store.migrate()
  })
  afterAll(async () => {
    await source.close()
    await store.close()
    await database.drop()
  })
  const sql = (text: string) => rowsOf(database.connectionString, text)

  it('a sequence that never started is an empty stream', async () => {
    expect(await source.bounds([0])).toEqual(new Map([[0, { first: 0n, head: 0n }]]))
    expect(await source.resolve(0, { timestamp: 0 })).toBe(0n)
  })

  describe.each(['infinity', '-infinity'])('%s', (time) => {
    it('as the time of an event is none, and nobody says how old it is', async () => {
      const [row] = await rowsOf<{ position: string }>(
        database.connectionString,
        `insert into tidemark.events (stream, partition, data, created_at) values ('orders', 0, '1', '${time}') returning position`,
      )
      const position = BigInt(row!.position)
      const options = { key, replay: 0, fetchBytes: 1_000, budget: unlimited, signal: context.signal }
      const reader = source.read(position, options)
      const chunk = await reader.next({ maxMessages: 1, waitMs: 5_000 })
      expect(chunk!.messages.map(({ timestamp }) => timestamp)).toEqual([-1])
      await reader.close()
      expect(await agesAt(source, [{ key, position }])).toEqual(new Map([[0, null]]))
    })

    it('as the time of a commit, or of a change, is shown as unknown', async () => {
      await store.open(key, { above: 0, start: 0n })
      await store.reset(key, { kind: 'reset', to: 0n, by: 'a test', why: 'to see' })
      await sql(`update tidemark.consumer_offsets set updated_at = '${time}'`)
      await sql(`update tidemark.consumer_changes set at = '${time}'`)
      expect((await store.list(key))[0]!.updatedAt).toBeNull()
      expect((await store.history({ ...key, limit: 1 }))[0]!.at).toBeNull()
    })
  })
})
