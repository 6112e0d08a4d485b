import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { kafka, kafkaStore } from '../../src/entry/kafka.js'
import { postgresDatabase } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import type { DatabaseClient, OffsetStoreClient, SourceClient } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { KafkaGround, kafkaTool } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres'], 'a group whose offsets are kept in Kafka', () => {
  const context = () => ({ log: ground.log, signal: new AbortController().signal })
  let ground: KafkaGround
  let fresh: FreshDatabase
  let source: SourceClient
  let store: OffsetStoreClient
  let database: DatabaseClient
  let key: { group: string; stream: string; partition: number }

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
    fresh = await freshDatabase()
    const topic = await ground.topic()
    const producer = await ground.producer()
    await producer.send({ topic, messages: Array.from({ length: 10 }, (_, n) => ({ value: String(n) })) })
    key = { group: unique('group'), stream: topic, partition: 0 }
    source = await ground.connect({ topic })
    store = await anotherProcess()
    database = await postgresDatabase({ connectionString: fresh.connectionString }).connect(context())
  })
  afterEach(async () => {
    await Promise.all([store.close(), database.close()])
    await ground.close()
    await fresh.drop()
  })

  function anotherProcess(): Promise<OffsetStoreClient> {
    const { connectionString } = fresh
    return kafkaStore({ brokers: ground.brokers, database: postgresDatabase({ connectionString }) }).connect(context())
  }

  /** What a plain client leaves: an offset, and no note of Tidemark's. */
  async function resetByKafkaTool(offset: number): Promise<void> {
    await kafkaTool(part('kafka').home, 'consumer.group.ConsumerGroupCommand', [
      ...['--bootstrap-server', ground.brokers[0]!, '--group', key.group, '--topic', key.stream],
      ...['--reset-offsets', '--to-offset', String(offset), '--execute'],
    ])
  }

  it('goes on where a plain consumer has left it', async () => {
    await resetByKafkaTool(7)
    expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 7n, epoch: 0, replay: 0 }])
    expect(await store.open(key, { above: 0, start: 0n })).toMatchObject({ position: 7n, replay: 0 })
    expect(await source.groupOffsets!.read(key.group, key.stream)).toEqual([{ partition: 0, position: 7n }])
  })

  it('as a mirror leaves the position of a plain consumer alone until it was handled past, or claimed', async () => {
    await resetByKafkaTool(7)
    const mirrored = { ...key, position: 0n, epoch: 1, replay: 0 }
    expect(await store.foreign!(key.group, key.stream)).toEqual([{ partition: 0, position: 7n }])
    expect(await store.assert(mirrored)).toBe(7n)
    expect(await store.assert({ ...mirrored, position: 6n, handled: true })).toBe(7n)
    expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 7n, epoch: 0 }])
    await store.claim!(key.group, key.stream)
    expect(await store.foreign!(key.group, key.stream)).toEqual([])
    expect(await store.assert(mirrored)).toBeNull()
    expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 0n, epoch: 1 }])
    await resetByKafkaTool(7)
    expect(await store.assert({ ...mirrored, position: 8n, handled: true })).toBeNull()
    expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 8n, epoch: 1 }])
  })

  it('takes a reset by a plain client for one, with a new replay, and notes it', async () => {
    const { epoch } = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch, position: 8n })
    await resetByKafkaTool(2)
    const commit = { epoch, position: 9n, replay: 0 }
    expect(await store.commit(key, commit)).toMatchObject({ outcome: 'stale', position: 2n, replay: 1 })
    const opened = await store.open(key, { above: epoch, start: 0n })
    expect(opened).toMatchObject({ position: 2n, replay: 1, epoch: epoch + 1 })
    expect(await store.history({ ...key, limit: 10 })).toMatchObject([
      { kind: 'adopted', from: 8n, to: 2n, by: 'kafka' },
    ])
  })

  it('an older commit that slipped in is put right by the next one of the owner', async () => {
    const old = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch: old.epoch, position: 3n })
    const owner = await store.open(key, { above: 0, start: 0n })
    await store.commit(key, { epoch: owner.epoch, position: 6n })
    // Frozen between its read and its write, in another process.
    await source.groupOffsets!.assert({ ...key, position: 4n, epoch: old.epoch, replay: 0 })
    expect(await store.commit(key, { epoch: old.epoch, position: 5n })).toMatchObject({
      outcome: 'stale',
      epoch: owner.epoch,
      position: 6n,
    })
    expect(await store.commit(key, { epoch: owner.epoch, position: 8n })).toEqual({ outcome: 'committed' })
    expect(await store.commit(key, { epoch: old.epoch, position: 9n })).toMatchObject({ outcome: 'stale' })
    expect(await store.read(key.group, key.stream)).toMatchObject([{ position: 8n, epoch: owner.epoch }])
  })

  it('what Kafka forgets comes back with the next commit of whoever owns it, and of nobody else', async () => {
    const { epoch } = await store.open(key, { above: 0, start: 0n })
    await claimFrom(database.progress, key, { epoch, batch: 1, attempt: 1 }, { from: 0n, replay: 0 })
    await ground.admin.deleteGroups([key.group])
    const other = await anotherProcess()
    try {
      expect(await other.commit(key, { epoch: epoch - 1, position: 5n })).toMatchObject({ outcome: 'stale' })
      expect(await other.commit(key, { epoch, position: 5n })).toEqual({ outcome: 'committed' })
      expect(await other.read(key.group, key.stream)).toMatchObject([{ position: 5n, epoch, replay: 0 }])
    } finally {
      await other.close()
    }
  })

  it('a new owner of what Kafka has forgotten goes on from the progress of the handlers', async () => {
    const { epoch, replay } = await store.reset(key, { kind: 'reset', to: 1n, by: 'ann', why: 'test' })
    const token = { epoch, batch: 1, attempt: 1 }
    await claimFrom(database.progress, key, token, { from: 1n, replay })
    await database.progress.advance(key, token, 1n, 6n)
    await ground.admin.deleteGroups([key.group])
    const other = await anotherProcess()
    try {
      const opened = await other.open(key, { above: 0, start: 0n })
      expect(opened).toMatchObject({ position: 6n, replay: 1, epoch: epoch + 1 })
    } finally {
      await other.close()
    }
  })

  it('is not touched while other consumers are in it', async () => {
    const consumer = ground.client.consumer({ groupId: key.group, maxWaitTimeInMs: 200 })
    await consumer.connect()
    await consumer.subscribe({ topic: key.stream })
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve))
    await consumer.run({ eachMessage: async () => {} })
    await joined
    await expect(store.open(key, { above: 0, start: 0n })).rejects.toMatchObject({ code: 'GROUP_ACTIVE' })
    await consumer.disconnect()
  })
})

describeWith(['kafka', 'postgres', 'temporal'], 'a worker whose offsets are kept in Kafka', () => {
  it('handles everything once, and leaves the positions to whoever looks at the group', async () => {
    const { connectionString, drop } = await freshDatabase()
    const { brokers } = part('kafka')
    const ground = await KafkaGround.on(brokers)
    const topic = await ground.topic({}, 2)
    const group = unique('group')
    await rowsOf(connectionString, 'create table effects (partition int, off bigint)')
    const database = postgresDatabase({ connectionString })
    const { address, namespace } = part('temporal')
    const running = await run(
      defineConfig({
        store: kafkaStore({ brokers, database }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer({
            group,
            source: kafka({ brokers, topic }),
            start: 'first',
            batch: { idleGap: '100ms' },
            handler: transactional(async (messages, { tx, partition }) => {
              const offsets = messages.map(({ offset }) => String(offset))
              await tx.query('insert into effects select $1, unnest($2::bigint[])', [partition, offsets])
            }),
          }),
        ],
      }),
    )
    try {
      const producer = await ground.producer()
      const messages = Array.from({ length: 200 }, (_, n) => ({ partition: n % 2, value: String(n) }))
      await producer.send({ topic, messages })
      const source = await ground.connect({ topic })
      await waitFor(
        async () =>
          (await source.groupOffsets!.read(group, topic)).filter(({ position }) => position === 100n).length === 2,
        { what: 'the offsets of both partitions to be at their heads' },
      )
      const [effects] = await rowsOf<{ all: string; distinct: string }>(
        connectionString,
        'select count(*) as all, count(distinct (partition, off)) as distinct from effects',
      )
      expect(effects).toEqual({ all: '200', distinct: '200' })
      const store = await kafkaStore({ brokers, database }).connect({
        log: ground.log,
        signal: new AbortController().signal,
      })
      const identity = await source.identity(0)
      expect(await store.read(group, topic)).toMatchObject([{ identity }, { identity }])
      await store.close()
    } finally {
      await running.stop()
      await ground.close()
      await drop()
    }
  })
})
