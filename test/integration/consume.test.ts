import { afterEach, beforeEach, expect, it } from 'vitest'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { transactional } from '../../src/handlers/handler.js'
import { kafka } from '../../src/kafka/source/source.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import { produce, type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { temporalText, waitingFor } from '../support/temporal-text.js'
import { createTopic, kafkaClient } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres', 'temporal'], 'a consumer of a Kafka topic', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let topic: string
  let taskQueue: string
  const partitions = 2
  const running: Running[] = []

  beforeEach(async () => {
    database = await freshDatabase()
    client = await temporalClient()
    topic = unique('orders')
    taskQueue = unique('queue')
    await createTopic(topic, partitions)
    await rowsOf(
      database.connectionString,
      'create table effects (partition int, off bigint, value text, by text, replay int)',
    )
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await client.close()
    await database.drop()
  })

  const group = 'billing'
  const name = () => ({ group, stream: topic })

  function configOf(change: Partial<ConsumerOptions<string>> = {}, by = 'first') {
    const handler = transactional<string>(async (messages, { tx, partition, replay }) => {
      await tx.query(
        'insert into effects select $1, off, value, $4, $5 from unnest($2::bigint[], $3::text[]) as m(off, value)',
        [partition, messages.map(({ offset }) => String(offset)), messages.map(({ value }) => value), by, replay],
      )
    })
    const { address, namespace } = part('temporal')
    return defineConfig({
      store: postgresStore({ connectionString: database.connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue,
      consumers: [
        consumer<string>({
          group,
          source: kafka({ brokers: part('kafka').brokers, topic, value: text() }),
          heartbeatTimeout: '2s',
          // Short, since messages that come in two waves make the next idle gap longer.
          batch: { maxDuration: '1s', idleGap: '300ms' },
          handler,
          ...change,
        }),
      ],
    })
  }

  async function start(config: ReturnType<typeof configOf>): Promise<Running> {
    const one = await run(config)
    running.push(one)
    return one
  }
  const values = (from: number, count: number) => Array.from({ length: count }, (_, i) => `v${from + i}`)
  const effects = async () =>
    (await rowsOf<{ value: string }>(database.connectionString, 'select value from effects')).map(({ value }) => value)
  const offsets = () =>
    rowsOf<{ partition: number; offset: string; epoch: string }>(
      database.connectionString,
      'select partition, "offset", epoch from tidemark.consumer_offsets order by partition',
    )
  const handled = (count: number) =>
    waitFor(async () => (await effects()).length >= count, { what: `${count} effects`, timeout: 30_000 })
  const committed = (total: number) =>
    waitFor(async () => (await offsets()).reduce((sum, { offset }) => sum + Number(offset) + 1, 0) === total, {
      what: `${total} messages to be committed`,
      timeout: 30_000,
    })

  it('handles each message once, commits after the batch, and follows the tail', async () => {
    await produce(topic, values(0, 1_000), partitions)
    await start(configOf())
    await handled(1_000)
    await produce(topic, values(1_000, 10), partitions)
    await handled(1_010)
    await committed(1_010)
    const all = await effects()
    expect(new Set(all).size).toBe(1_010)
    expect(all).toHaveLength(1_010)
  })

  it('starts where its start option says, only where nothing is stored', async () => {
    await produce(topic, values(0, 100), partitions)
    const first = await start(configOf({ start: { offset: 45 } }))
    await handled(10)
    await committed(100)
    await first.stop()
    await produce(topic, values(100, 20), partitions)
    await start(configOf({ start: 'first' }))
    await handled(30)
    await committed(120)
    expect(await effects()).toHaveLength(30)
  })

  it('puts no part of a message into Temporal by itself', async () => {
    const sentinel = 'SENTINEL-7f3a9c'
    await produce(topic, [`${sentinel}-a`, `${sentinel}-b`], partitions)
    let failures = 0
    const handler = transactional<string>(async ([message], { tx }) => {
      if (failures++ < 3) throw new Error('no')
      await tx.query('insert into effects (value) values ($1)', [message!.value])
    })
    await start(configOf({ handler, retry: { initialInterval: '100ms' } }))
    await handled(2)
    await committed(2)
    expect(failures).toBeGreaterThan(3)
    const slices = [0, 1].map((slice) => sliceWorkflowId(name(), slice))
    const text = await temporalText(client, [groupWorkflowId(group, topic), ...slices])
    expect(text).toContain('Tidemark')
    expect(text).not.toContain(sentinel)
  })

  it('shows a failing handler with its stream, partition and offsets, skips nothing, and goes on when it works again', async () => {
    await produce(topic, values(0, 10), partitions)
    let broken = true
    const handler = transactional<string>(async (messages, { tx }) => {
      await tx.query('insert into effects (value) select unnest($1::text[])', [messages.map(({ value }) => value)])
      if (broken) throw new Error('the invoice service is down')
    })
    await start(configOf({ handler, retry: { initialInterval: '100ms', maximumInterval: '500ms' } }))
    const view = await waitFor(
      async () => {
        const { partitions } = await groupStatus(client, name())
        return partitions.length === 2 && partitions.every(({ state }) => state === 'retrying') && partitions
      },
      { what: 'the partitions to be retried' },
    )
    expect(view[1]!.reason).toContain(`${topic}[1] offset 0: the invoice service is down`)
    expect(await effects()).toEqual([])
    broken = false
    await handled(10)
    await committed(10)
    expect((await effects()).sort()).toEqual(values(0, 10).sort())
  })

  it('stays paused through a restart of the workers, and resumes without a loss', async () => {
    await produce(topic, values(0, 10), partitions)
    const config = configOf()
    const first = await start(config)
    await committed(10)
    await pauseGroup(client, name(), { reason: 'maintenance' })
    await first.stop()
    await produce(topic, values(10, 10), partitions)
    await start(config)
    const view = await waitFor(
      async () => {
        const view = await groupStatus(client, name())
        return view.partitions.every(({ state }) => state === 'paused') && view
      },
      { what: 'the status' },
    )
    expect(view.paused).toBe('maintenance')
    expect(await effects()).toHaveLength(10)
    await resumeGroup(client, name())
    await handled(20)
    await committed(20)
    expect(await effects()).toHaveLength(20)
  })

  it('hands its batch over at once when its worker is told to stop', async () => {
    const slow = (by: string) =>
      transactional<string>(async (messages, { tx, partition }) => {
        await tx.query('insert into effects (partition, value, by) select $1, unnest($2::text[]), $3', [
          partition,
          messages.map(({ value }) => value),
          by,
        ])
        await tx.query('select pg_sleep(0.02)')
      })
    await produce(topic, values(0, 2_000), partitions)
    const config = (by: string) =>
      configOf(
        {
          handler: slow(by),
          chunk: { maxMessages: 10 },
          heartbeatTimeout: '60s',
          batch: { maxDuration: '60s', idleGap: '300ms' },
        },
        by,
      )
    const options = config('a')
    const first = await start(options)
    await handled(100)
    await start(options)
    await first.stop()
    const before = (await effects()).length
    expect(before).toBeLessThan(2_000)
    // With a heartbeat timeout of a minute, going on soon is proof that nobody waited for it.
    const slices = [0, 1].map((slice) => sliceWorkflowId({ group, stream: topic }, slice))
    await handled(2_000).catch(async (error) => {
      throw new Error(`${before} effects of the first worker; ${await waitingFor(client, slices)}`, { cause: error })
    })
    await committed(2_000)
    expect(new Set(await effects()).size).toBe(2_000)
    expect(await effects()).toHaveLength(2_000)
  })

  it('puts a changed config in force at the next batch, without ending a workflow, and says so', async () => {
    const config = (by: string) =>
      configOf({ batch: { maxDuration: '2s', idleGap: by === 'old' ? '300ms' : '301ms' } }, by)
    await produce(topic, values(0, 10), partitions)
    const old = await start(config('old'))
    await committed(10)
    const before = await groupStatus(client, name())
    const runs = async () => (await client.workflow.getHandle(groupWorkflowId(group, topic)).describe()).runId
    const runId = await runs()
    await start(config('new'))
    // The old worker still runs: a rolling deploy.
    await waitFor(async () => (await groupStatus(client, name())).config.version !== before.config.version, {
      what: 'the new config',
    })
    await waitFor(
      async () => (await groupStatus(client, name())).partitions.every((p) => p.config !== before.config.version),
      { what: 'the partitions to have it' },
    )
    await produce(topic, values(10, 20), partitions)
    await handled(30)
    const rows = await rowsOf<{ by: string; n: number }>(
      database.connectionString,
      'select by, count(*)::int n from effects group by by order by by',
    )
    expect(rows).toEqual([
      { by: 'new', n: 20 },
      { by: 'old', n: 10 },
    ])
    expect(await runs()).toBe(runId)
    await old.stop()
  })

  it('resumes from the store when Temporal has lost everything', async () => {
    await produce(topic, values(0, 20), partitions)
    const first = await start(configOf())
    await committed(20)
    await first.stop()
    // Nothing is left of the workflows: as with a new Temporal, whose first runs find only what the store knows.
    for (const workflowId of [
      groupWorkflowId(group, topic),
      ...[0, 1].map((slice) => sliceWorkflowId({ group, stream: topic }, slice)),
    ]) {
      const { namespace } = client.options
      await client.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId } })
      const gone = () =>
        client.workflow
          .getHandle(workflowId)
          .describe()
          .then(
            () => false,
            () => true,
          )
      await waitFor(gone, { what: `${workflowId} to be deleted` })
    }
    await produce(topic, values(20, 20), partitions)
    await start(configOf())
    await handled(40)
    await committed(40)
    expect(await effects()).toHaveLength(40)
    expect((await offsets()).map(({ epoch }) => epoch)).toEqual(['2', '2'])
  })

  it('refuses to strand running workflows on another task queue', async () => {
    await start(configOf())
    taskQueue = unique('queue')
    await expect(start(configOf())).rejects.toThrow(/runs on task queue 'queue-.*'; this config says 'queue-/)
  })

  it('finds added partitions by itself, and misses nothing in them', async () => {
    await start(configOf({ start: 'next' }))
    await waitFor(async () => (await offsets()).length === 2, { what: 'two partitions' })
    const admin = kafkaClient().admin()
    await admin.connect()
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
    await admin.disconnect()
    // Before the group can know of the new ones, where 'next' would begin behind these.
    await produce(topic, values(0, 40), 4)
    await waitFor(async () => (await groupStatus(client, name())).partitions.length === 4, {
      what: 'four partitions',
      timeout: 30_000,
    })
    await handled(40)
  })

  it('runs a plain handler at least once, with keys that stay the same at a retry', async () => {
    await produce(topic, values(0, 4), partitions)
    const keys: string[] = []
    let failed = false
    const handler: ConsumerOptions<string>['handler'] = async (messages, { partition }) => {
      keys.push(...messages.map(({ idempotencyKey }) => idempotencyKey))
      if (partition === 0 && !failed) {
        failed = true
        throw new Error('once')
      }
    }
    await start(configOf({ handler, retry: { initialInterval: '100ms' } }))
    await committed(4)
    const expected = [0, 1].flatMap((partition) => [0, 1].map((offset) => `${group}/${topic}/${partition}/${offset}/0`))
    expect(new Set(keys)).toEqual(new Set(expected))
    expect(keys.filter((key) => key === expected[0])).toHaveLength(2)
  })
})
