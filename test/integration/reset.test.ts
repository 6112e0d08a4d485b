import { afterEach, beforeEach, expect, it } from 'vitest'
import { pauseGroup, reopenPartitions, resumeGroup } from '../../src/client/commands.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { transactional } from '../../src/handlers/handler.js'
import { kafka } from '../../src/kafka/source/source.js'
import type { OffsetStoreClient } from '../../src/ports/index.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import { produce, type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { createTopic, kafkaClient } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres', 'temporal'], 'a position put elsewhere', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let store: OffsetStoreClient
  let topic: string
  let group: string
  let taskQueue: string
  const running: Running[] = []

  beforeEach(async () => {
    database = await freshDatabase()
    client = await temporalClient()
    topic = unique('orders')
    group = unique('billing')
    taskQueue = unique('queue')
    await createTopic(topic, 2)
    await rowsOf(database.connectionString, 'create table effects (partition int, off bigint, replay int)')
    const { connectionString } = database
    store = await postgresStore({ connectionString }).connect({
      log: silentLog(),
      signal: new AbortController().signal,
    })
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await store.close()
    await client.close()
    await database.drop()
  })

  async function start(change: Partial<ConsumerOptions<string>> = {}): Promise<Running> {
    const { address, namespace } = part('temporal')
    const one = await run(
      defineConfig({
        store: postgresStore({ connectionString: database.connectionString, poolSize: 5 }),
        temporal: { address, namespace },
        taskQueue,
        consumers: [
          consumer<string>({
            group,
            source: kafka({ brokers: part('kafka').brokers, topic, value: text() }),
            heartbeatTimeout: '2s',
            batch: { maxDuration: '5s', idleGap: '300ms' },
            chunk: { maxMessages: 50 },
            handler: transactional(async (messages, { tx, partition, replay }) => {
              await tx.query('insert into effects select $1, unnest($2::bigint[]), $3', [
                partition,
                messages.map(({ offset }) => String(offset)),
                replay,
              ])
            }),
            ...change,
          }),
        ],
      }),
    )
    running.push(one)
    return one
  }
  const values = (count: number) => Array.from({ length: count }, (_, n) => `v${n}`)
  const handled = async (replay: number) => {
    const [row] = await rowsOf<{ n: number; d: number; least: number }>(
      database.connectionString,
      'select count(*)::int n, count(distinct (partition, off))::int d, min(off)::int least from effects where replay = $1',
      [replay],
    )
    return row!
  }
  const admin = async <T>(use: (admin: ReturnType<ReturnType<typeof kafkaClient>['admin']>) => Promise<T>) => {
    const one = kafkaClient().admin()
    await one.connect()
    return use(one).finally(() => one.disconnect())
  }
  const inKafka = () =>
    admin(async (one) => {
      const [{ partitions } = { partitions: [] }] = await one.fetchOffsets({ groupId: group, topics: [topic] })
      return partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
    })
  const committed = (wanted: bigint) =>
    waitFor(
      async () => {
        const rows = await store.read(group, topic)
        return rows.length === 2 && rows.every(({ position }) => position === wanted)
      },
      { what: `the commits of ${wanted}` },
    )
  const status = () => groupStatus(client, { group, stream: topic })

  it('everything behind it is handled once more, as a new replay, while three workers are busy', async () => {
    const count = 20_000
    await produce(topic, values(count), 2)
    await Promise.all([start(), start(), start()])
    await waitFor(async () => (await handled(0)).n > 2_000, { what: 'some work' })
    for (const partition of [0, 1])
      await store.reset({ group, stream: topic, partition }, { kind: 'reset', to: 500n, by: 'test', why: 'again' })
    await reopenPartitions(client, { group, stream: topic }, [0, 1])
    await waitFor(async () => (await handled(1)).n >= count - 1_000, { what: 'the replay', timeout: 60_000 })
    expect(await handled(1)).toEqual({ n: count - 1_000, d: count - 1_000, least: 500 })
    const before = await handled(0)
    expect(before.n).toBe(before.d)
    await committed(BigInt(count / 2))
  })

  it("Kafka's own tools see the committed position, also after a reset", async () => {
    await produce(topic, values(100), 2)
    await start()
    await waitFor(async () => (await inKafka()).join() === '50,50', { what: 'the offsets in Kafka' })
    await store.reset({ group, stream: topic, partition: 0 }, { kind: 'reset', to: 10n, by: 'test', why: '' })
    await store.reset({ group, stream: topic, partition: 1 }, { kind: 'reset', to: 50n, by: 'test', why: '' })
    await reopenPartitions(client, { group, stream: topic }, [0, 1])
    await waitFor(async () => (await handled(1)).n === 40, { what: 'the replay' })
    await waitFor(async () => (await inKafka()).join() === '50,50', { what: 'the offsets after it' })
  })

  it('a plain consumer of the same group goes on behind Tidemark', async () => {
    await produce(topic, values(100), 2)
    const one = await start()
    await waitFor(async () => (await inKafka()).join() === '50,50', { what: 'the offsets in Kafka' })
    await one.stop()
    running.splice(0)
    await produce(topic, ['late0', 'late1'], 2)
    const plain = kafkaClient().consumer({ groupId: group })
    const got: string[] = []
    await plain.connect()
    await plain.subscribe({ topic, fromBeginning: true })
    await plain.run({ eachMessage: async ({ message }) => void got.push(message.value!.toString()) })
    await waitFor(() => got.length >= 2, { what: 'the plain consumer' })
    await plain.disconnect()
    expect(got.sort()).toEqual(['late0', 'late1'])
  })

  it('a topic made again stops the partitions, which say so; a reset lets them go on', async () => {
    await produce(topic, values(100), 2)
    const one = await start()
    await waitFor(async () => (await handled(0)).n === 100, { what: 'the first topic' })
    await committed(50n)
    await one.stop()
    running.splice(0)
    await admin(async (kafka) => {
      await kafka.deleteTopics({ topics: [topic] })
      await waitFor(async () => !(await kafka.listTopics()).includes(topic), { what: 'the deletion' })
    })
    await createTopic(topic, 2)
    // More than before: only the topic's id tells the difference.
    await produce(topic, values(400), 2)
    await start()
    const blocked = await waitFor(
      async () => {
        const { partitions } = await status()
        return partitions.length === 2 && partitions.every(({ state }) => state === 'blocked') && partitions
      },
      { what: 'the block', timeout: 30_000 },
    )
    expect(blocked[0]!.reason).toContain('deleted; another one of the same name')
    expect(blocked[0]!.reason).toContain(`tidemark reset --group ${group} --stream ${topic} --partition 0 --to first`)
    expect((await handled(0)).n).toBe(100)
    const source = await kafka({ brokers: part('kafka').brokers, topic }).connect({
      log: silentLog(),
      signal: new AbortController().signal,
    })
    const identity = await source.identity(0)
    await source.close()
    for (const partition of [0, 1])
      await store.reset({ group, stream: topic, partition }, { kind: 'reset', to: 0n, by: 'test', why: '', identity })
    await reopenPartitions(client, { group, stream: topic }, [0, 1])
    await waitFor(async () => (await handled(1)).n === 400, { what: 'the new topic' })
  })

  it('a topic that is deleted while its partitions wait stops them, and a new one does not pass for it', async () => {
    await produce(topic, values(100), 2)
    await start()
    await committed(50n)
    await admin((kafka) => kafka.deleteTopics({ topics: [topic] }))
    // What waits looks again when its minute is over, or when it is told to go on.
    await pauseGroup(client, { group, stream: topic }, { reason: 'test' })
    await resumeGroup(client, { group, stream: topic })
    const all = (state: string) => async () => {
      const { partitions } = await status()
      return partitions.length === 2 && partitions.every((one) => one.state === state) && partitions
    }
    const [gone] = await waitFor(all('blocked'), { what: 'the block', timeout: 30_000 })
    expect(gone!.reason).toContain(topic)
    await createTopic(topic, 2)
    await produce(topic, values(400), 2)
    await resumeGroup(client, { group, stream: topic })
    const [other] = await waitFor(
      async () => {
        const blocked = (await all('blocked')()) || []
        return (
          blocked.length === 2 &&
          blocked.every(({ reason }) => reason.includes('another one of the same name')) &&
          blocked
        )
      },
      { what: 'the second block', timeout: 30_000 },
    )
    expect(other!.reason).toContain('position 50 belongs to a stream that was deleted')
    expect((await handled(0)).n).toBe(100)
  })

  it('onOutOfRange first goes on where the log begins, and the jump is in the history', async () => {
    await produce(topic, values(100), 2)
    const one = await start()
    await committed(50n)
    await one.stop()
    running.splice(0)
    await produce(topic, values(100), 2)
    await admin(async (kafka) => {
      // kafkajs deletes only from topics that it has looked at.
      await kafka.fetchTopicOffsets(topic)
      const partitions = [0, 1].map((partition) => ({ partition, offset: '70' }))
      await kafka.deleteTopicRecords({ topic, partitions })
    })
    await start({ onOutOfRange: 'first' })
    await waitFor(async () => (await handled(1)).n === 60, { what: 'what is left' })
    expect(await handled(1)).toMatchObject({ least: 70 })
    const history = await store.history({ group, limit: 10 })
    expect(history).toMatchObject([
      { kind: 'skipped', from: 50n, to: 70n, by: 'onOutOfRange: first' },
      { kind: 'skipped', from: 50n, to: 70n },
    ])
    expect(history[0]!.why).toContain('retention has deleted 20 offsets that were not handled yet')
  })
})
