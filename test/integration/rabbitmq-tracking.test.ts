import type { Client } from 'rabbitmq-stream-js-client'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { planAdoption } from '../../src/client/adopt.js'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { everyN } from '../../src/entry/index.js'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import { rabbitmq, rabbitmqStore } from '../../src/entry/rabbitmq.js'
import { transactional } from '../../src/handlers/handler.js'
import type { DatabaseClient, OffsetStoreClient, SourceClient } from '../../src/ports/index.js'
import { Links } from '../../src/rabbitmq/client/links.js'
import { parseRabbitmq } from '../../src/rabbitmq/client/options.js'
import { GroupOffsets } from '../../src/rabbitmq/store/group-offsets.js'
import { Tracking } from '../../src/rabbitmq/store/tracking.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { claimFrom } from '../support/claim.js'
import { rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { publish, rabbitmqClient } from '../support/rabbitmq-ground.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const context = () => ({ log: silentLog(), signal: new AbortController().signal })
const messages = (count: number) => Array.from({ length: count }, (_, n) => ({ content: Buffer.from(`${n}`) }))

/** What a plain client is told: the last processed offset; null where there is none. */
async function shownTo(client: Client, reference: string, stream: string): Promise<bigint | null> {
  return client.queryOffset({ reference, stream }).catch((error: Error) => {
    if (error.message.includes('code 19')) return null
    throw error
  })
}

describeWith(['rabbitmq', 'postgres'], 'offsets tracked by RabbitMQ', () => {
  const group = 'billing'
  let client: Client
  let fresh: FreshDatabase
  let source: SourceClient
  let store: OffsetStoreClient
  let database: DatabaseClient
  let stream: string
  let key: { group: string; stream: string; partition: number }

  beforeEach(async () => {
    client = await rabbitmqClient()
    fresh = await freshDatabase()
    stream = unique('tracked')
    key = { group, stream, partition: 0 }
    await client.createStream({ stream, arguments: {} })
    source = await rabbitmq({ url: part('rabbitmq').url, stream }).connect(context())
    store = await anotherProcess()
    database = await postgresDatabase({ connectionString: fresh.connectionString }).connect(context())
  })
  afterEach(async () => {
    await Promise.all([source.close(), store.close(), database.close()])
    await client.deleteStream({ stream }).catch(() => {})
    await client.close()
    await fresh.drop()
  })

  const storeOptions = () => ({
    url: part('rabbitmq').url,
    database: postgresDatabase({ connectionString: fresh.connectionString }),
  })
  const anotherProcess = () => rabbitmqStore(storeOptions()).connect(context())
  const assert = (position: bigint, { epoch = 1, replay = 0 } = {}) =>
    source.groupOffsets!.assert({ ...key, position, epoch, replay })
  const shown = () => shownTo(client, group, stream)
  /** The log grows with everything that is stored. */
  const lastChunk = async () => (await client.streamStatsRequest(stream)).committedChunkId
  const recreate = async () => {
    await client.deleteStream({ stream })
    await client.createStream({ stream, arguments: {} })
  }
  /** What a plain consumer leaves. */
  async function storePlainly(offset: bigint): Promise<void> {
    const connection = new Links(parseRabbitmq({ url: part('rabbitmq').url, stream }))
    await new Tracking(connection).store(stream, [[group, offset]])
    connection.close()
  }

  it('are shown as the last processed ones, from offset 0 on, and stored once', async () => {
    await assert(0n)
    expect(await shown()).toBeNull()
    expect(await lastChunk()).toBe(-1n)
    await assert(1n)
    expect(await shown()).toBe(0n)
    await assert(43n)
    expect(await shown()).toBe(42n)
    const before = await lastChunk()
    await assert(43n)
    expect(await lastChunk()).toBe(before)
    expect(await source.groupOffsets!.read(group, stream)).toEqual([{ partition: 0, position: 43n }])
  })

  it('do not go back for an older owner, unless that was a reset or the newer one is long gone', async () => {
    await assert(43n, { epoch: 2 })
    await assert(20n, { epoch: 2 })
    await assert(60n, { epoch: 1 })
    expect(await shown()).toBe(42n)
    await assert(10n, { epoch: 3, replay: 1 })
    expect(await shown()).toBe(9n)
    const connection = new Links(parseRabbitmq({ url: part('rabbitmq').url, stream }))
    // A database that was emptied begins with epoch 1 again.
    const later = new GroupOffsets(connection, new Tracking(connection), () => Date.now() + 11 * 60_000)
    await later.assert({ ...key, position: 5n, epoch: 1, replay: 0 })
    connection.close()
    expect(await shown()).toBe(4n)
  })

  it.each(['a mirror', 'a store that follows another'] as const)(
    'of a plain consumer are left alone by %s until they were handled past, or claimed',
    async (what) => {
      const mirror = what === 'a mirror' ? source.groupOffsets! : store
      const mirrored = { ...key, position: 0n, epoch: 1, replay: 0 }
      await storePlainly(89n)
      expect(await mirror.foreign!(group, stream)).toEqual([{ partition: 0, position: 90n }])
      expect(await mirror.assert(mirrored)).toBe(90n)
      expect(await mirror.assert({ ...mirrored, position: 50n, handled: true })).toBe(90n)
      expect(await shown()).toBe(89n)
      await mirror.claim!(group, stream)
      expect(await shown()).toBe(89n)
      expect(await mirror.foreign!(group, stream)).toEqual([])
      expect(await mirror.assert({ ...mirrored, position: 50n })).toBeNull()
      expect(await shown()).toBe(49n)
      await storePlainly(89n)
      expect(await mirror.assert({ ...mirrored, position: 51n, handled: true })).toBe(90n)
      expect(await mirror.assert({ ...mirrored, position: 95n, handled: true })).toBeNull()
      expect(await shown()).toBe(94n)
    },
  )

  it("of a plain consumer are gone on from, by a store and by 'tidemark adopt'", async () => {
    await publish(client, stream, messages(50))
    await storePlainly(41n)
    const adopted = await planAdoption(
      defineConfig({
        store: postgresStore({ connectionString: fresh.connectionString }),
        temporal: { address: '127.0.0.1:1' },
        consumers: [
          consumer({ group: 'other', source: rabbitmq({ url: part('rabbitmq').url, stream }), handler: () => {} }),
        ],
      }),
      { group: 'other', stream, from: group },
    )
    expect(adopted).toMatchObject({ kind: 'adopted', moves: [{ partition: 0, to: 42n }] })
    expect(await store.read(group, stream)).toMatchObject([{ position: 42n, epoch: 0, replay: 0 }])
    expect(await store.open(key, { above: 0, start: 0n })).toMatchObject({ position: 42n, replay: 0 })
  })

  it('that the stream has dropped with its oldest messages are still known', async () => {
    await client.deleteStream({ stream })
    const small = { 'stream-max-segment-size-bytes': 20_000, 'max-length-bytes': 40_000 }
    await client.createStream({ stream, arguments: small })
    const identity = await source.identity(0)
    expect(identity).toBeNull()
    const { epoch } = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch, position: 5n })
    const begun = await source.identity(0)
    expect(begun).not.toBeNull()
    const large = Array.from({ length: 40 }, () => ({ content: Buffer.alloc(2_000) }))
    await waitFor(
      async () => {
        await publish(client, stream, large)
        return (await shown()) === null
      },
      { what: 'the broker to drop the offset' },
    )
    const other = await anotherProcess()
    expect(await other.read(group, stream)).toMatchObject([{ position: 5n, epoch }])
    await other.close()
    expect(await source.groupOffsets!.read(group, stream)).toEqual([{ partition: 0, position: 5n }])
    expect((await source.bounds([0])).get(0)!.first).toBeGreaterThan(5n)
    expect(await source.identity(0)).toBe(begun)
  })

  it('of a stream that was created again are told from those before', async () => {
    await publish(client, stream, messages(3))
    const reading = rabbitmq({ url: part('rabbitmq').url, stream, groupOffsets: false })
    const onlyReading = await reading.connect(context())
    expect(onlyReading.groupOffsets).toBeUndefined()
    const quiet = await lastChunk()
    const first = await onlyReading.identity(0)
    expect(await lastChunk()).toBe(quiet)
    expect(first).not.toBeNull()
    expect(await source.identity(0)).toBe(first)
    const { epoch } = await store.open(key, { above: 0, start: 1n, identity: first })
    await store.commit(key, { epoch, position: 3n })
    await recreate()
    await publish(client, stream, messages(9))
    const second = await source.identity(0)
    expect(second).not.toBeNull()
    expect(second).not.toBe(first)
    expect(await onlyReading.identity(0)).toBe(second)
    await onlyReading.close()
    // The offset is gone with the stream; what the database has is of the old one, and says so: of the last owner, and of the handlers.
    const other = await anotherProcess()
    expect(await other.read(group, stream)).toMatchObject([{ position: 1n, epoch, identity: first }])
    await claimFrom(database.progress, key, { epoch, batch: 1, attempt: 1 }, { from: 3n, replay: 0 })
    expect(await other.read(group, stream)).toMatchObject([{ position: 3n, epoch, identity: first }])
    expect(await other.commit(key, { epoch: epoch - 1, position: 7n })).toMatchObject({ outcome: 'stale' })
    expect(await other.open(key, { above: 0, start: 0n })).toMatchObject({ position: 3n, epoch: epoch + 1 })
    await other.close()
  })

  it('of a stream that was created again and has grown are not read on from by who was reading', async () => {
    await publish(client, stream, messages(3))
    const reader = source.read(0n, {
      key,
      replay: 0,
      fetchBytes: 64 * 1024,
      budget: new SharedBudget(1024 * 1024),
      signal: new AbortController().signal,
    })
    for (let read = 0; read < 3; ) {
      const chunk = await reader.next({ maxMessages: 10, waitMs: 10_000 })
      read += chunk?.messages.length ?? 0
      chunk?.release()
    }
    await recreate()
    await publish(client, stream, messages(9))
    await expect(reader.next({ maxMessages: 10, waitMs: 30_000 })).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      message: expect.stringContaining('another one of the same name'),
    })
    await reader.close()
  })

  it('of a super stream are kept with each partition, which has an incarnation of its own', async () => {
    const name = unique('parts')
    await client.createSuperStream({ streamName: name, arguments: {} }, undefined, 2)
    const parts = await rabbitmq({ url: part('rabbitmq').url, superStream: name }).connect(context())
    try {
      await publish(client, `${name}-0`, messages(3))
      const first = await parts.identity(0)
      expect(first).not.toBeNull()
      expect(await parts.identity(1)).toBeNull()
      await publish(client, `${name}-1`, messages(3))
      expect(await parts.identity(1)).not.toBe(first)
      expect(await parts.identity(0)).toBe(first)
      for (const partition of [0, 1]) {
        const owned = { ...key, stream: name, partition }
        const { epoch } = await store.open(owned, { above: 0, start: 0n })
        await store.commit(owned, { epoch, position: BigInt(partition + 2) })
      }
      expect(await shownTo(client, group, `${name}-0`)).toBe(1n)
      expect(await shownTo(client, group, `${name}-1`)).toBe(2n)
      expect(await parts.groupOffsets!.read(group, name)).toEqual([
        { partition: 0, position: 2n },
        { partition: 1, position: 3n },
      ])
    } finally {
      await parts.close()
      await client.deleteSuperStream({ streamName: name })
    }
  })

  it('go back to before the first message, as 0', async () => {
    const { epoch } = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch, position: 8n })
    expect(await store.reset(key, { kind: 'reset', to: 0n, by: 'ann', why: 'test' })).toMatchObject({ position: 0n })
    expect(await shown()).toBe(0n)
    expect(await store.read(group, stream)).toMatchObject([{ position: 0n, replay: 1 }])
    expect(await source.groupOffsets!.read(group, stream)).toEqual([{ partition: 0, position: 0n }])
  })

  it('an older commit that slipped in is put right by the next one of the owner', async () => {
    const old = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch: old.epoch, position: 3n })
    const owner = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch: owner.epoch, position: 6n })
    // Frozen between its read and its write, in another process.
    const connection = new Links(parseRabbitmq({ url: part('rabbitmq').url, stream }))
    const late = () => Date.now() + 11 * 60_000
    const frozen = new GroupOffsets(connection, new Tracking(connection), late)
    await frozen.assert({ ...key, position: 4n, epoch: old.epoch, replay: 0 })
    connection.close()
    expect(await store.commit(key, { epoch: old.epoch, position: 5n })).toMatchObject({
      outcome: 'stale',
      epoch: owner.epoch,
      position: 6n,
    })
    expect(await store.commit(key, { epoch: owner.epoch, position: 8n })).toEqual({ outcome: 'committed' })
    expect(await store.commit(key, { epoch: old.epoch, position: 9n })).toMatchObject({ outcome: 'stale' })
    expect(await store.read(group, stream)).toMatchObject([{ position: 8n, epoch: owner.epoch }])
  })

  it('are refused for a group whose name has no room', async () => {
    const long = { ...key, group: 'ü'.repeat(119) }
    await expect(store.open(long, { above: 0, start: 0n })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('238 bytes'),
    })
    await expect(store.open({ ...key, stream: unique('missing') }, { above: 0, start: 0n })).rejects.toMatchObject({
      code: 'STREAM_NOT_FOUND',
    })
  })
})

describeWith(['rabbitmq', 'postgres', 'temporal'], 'a worker that reads RabbitMQ', () => {
  it.each(['rabbitmq', 'postgres'] as const)(
    'and keeps its offsets in %s shows them to plain clients, and notices a stream that was created again',
    async (kind) => {
      const { connectionString, drop } = await freshDatabase()
      const [client, temporal] = [await rabbitmqClient(), await temporalClient()]
      const { url } = part('rabbitmq')
      const [stream, group] = [unique('orders'), unique('billing')]
      await client.createStream({ stream, arguments: {} })
      await rowsOf(connectionString, 'create table effects (off bigint)')
      const { address, namespace } = part('temporal')
      const database = postgresDatabase({ connectionString })
      const kept = kind === 'rabbitmq' ? rabbitmqStore({ url, database }) : postgresStore({ connectionString })
      const running = await run(
        defineConfig({
          store: kept,
          temporal: { address, namespace },
          taskQueue: unique('queue'),
          consumers: [
            consumer({
              group,
              source: rabbitmq({ url, stream }),
              start: 'first',
              commit: everyN(10),
              batch: { idleGap: '100ms' },
              handler: transactional(async (chunk, { tx }) => {
                const offsets = chunk.map(({ offset }) => String(offset))
                await tx.query('insert into effects select unnest($1::bigint[])', [offsets])
              }),
            }),
          ],
        }),
      )
      const handled = async () => {
        const [row] = await rowsOf<{ all: number; distinct: number; last: string | null }>(
          connectionString,
          'select count(*)::int as all, count(distinct off)::int as distinct, max(off) as last from effects',
        )
        return row!
      }
      try {
        // The stream is empty when the group begins, so which one it is can be told only later.
        await waitFor(async () => (await groupStatus(temporal, { group, stream })).partitions[0]?.state === 'running', {
          what: 'the partition to run',
        })
        await publish(client, stream, messages(95))
        await waitFor(
          async () => {
            const { all, distinct, last } = await handled()
            return all === 95 && distinct === 95 && (await shownTo(client, group, stream)) === BigInt(last!)
          },
          { what: 'everything to be handled and shown' },
        )
        const store = await kept.connect(context())
        await waitFor(async () => (await store.read(group, stream))[0]?.identity, { what: 'the stream to be named' })
        await store.close()
        await client.deleteStream({ stream })
        await client.createStream({ stream, arguments: {} })
        await publish(client, stream, messages(500))
        // What waits looks again when its minute is over, or when it is told to go on.
        await pauseGroup(temporal, { group, stream }, { reason: 'test' })
        await resumeGroup(temporal, { group, stream })
        const blocked = await waitFor(
          async () => {
            const [one] = (await groupStatus(temporal, { group, stream })).partitions
            return one?.state === 'blocked' && one
          },
          { what: 'the block' },
        )
        expect(blocked.reason).toContain('deleted; another one of the same name')
        expect((await handled()).all).toBe(95)
      } finally {
        await running.stop()
        await temporal.close()
        await client.deleteStream({ stream })
        await client.close()
        await drop()
      }
    },
  )
})
