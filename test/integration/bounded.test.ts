import { MockActivityEnvironment } from '@temporalio/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  batchActivities,
  Circuits,
  type ConsumerRuntime,
  ErrorReports,
  LoopMonitor,
  Slots,
  Story,
} from '../../activities/index.js'
import { groupsFinished } from '../../src/client/finished.js'
import { startGroups } from '../../src/client/groups.js'
import { type ConsumerView, viewGroups } from '../../src/client/view.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { parseConfig } from '../../src/config/parse.js'
import { everyN } from '../../src/config/strategy.js'
import { kafka, text } from '../../src/entry/kafka.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { memoryStore } from '../../src/entry/testing.js'
import { type HandlerKind, transactional } from '../../src/handlers/handler.js'
import type { BatchInput, BatchResult, PartitionBatch, PartitionOutcome } from '../../src/model/batch.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { createWorker } from '../../src/worker/create.js'
import { Project, refused } from '../support/cli.js'
import { produce, rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { createTopic, kafkaClient } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { quiet } from '../support/workflow-env.js'

describeWith(['kafka', 'postgres', 'temporal'], 'a consumer with an end', () => {
  let database: FreshDatabase
  beforeEach(async () => {
    quiet()
    database = await freshDatabase()
    await rowsOf(database.connectionString, 'create table effects (value text)')
  })
  afterEach(() => database.drop())

  const note = transactional<string>(async (messages, { tx }) => {
    await tx.query('insert into effects select * from unnest($1::text[])', [messages.map(({ value }) => value)])
  })
  const effects = async () =>
    (await rowsOf<{ value: string }>(database.connectionString, 'select value from effects')).map(({ value }) => value)

  function configOf(options: Omit<ConsumerOptions<string>, 'group' | 'handler'>): TidemarkConfig {
    const { address, namespace } = part('temporal')
    return defineConfig({
      store: [postgresStore({ connectionString: database.connectionString, poolSize: 5 })],
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [consumer<string>({ group: 'backfill', handler: note, batch: { idleGap: '300ms' }, ...options })],
    })
  }

  /** Runs a config until it ends by itself. */
  async function toItsEnd(config: TidemarkConfig, meanwhile: () => Promise<void> = async () => {}) {
    const worker = await createWorker(config, { log: silentLog() })
    const running = worker.run()
    try {
      const started = await startGroups(config, { consumers: worker.consumers })
      await meanwhile()
      return (await groupsFinished(config, started))[0]!
    } finally {
      worker.shutdown()
      await running
    }
  }

  it('stops behind the message that says so in each partition, commits there, and begins there the next time', async () => {
    const topic = unique('orders')
    await createTopic(topic, 2)
    // In turns: the 5th and the 10th of each partition are markers.
    const wave = (n: number) => Array.from({ length: 20 }, (_, i) => (i % 10 > 7 ? `marker ${n}.${i}` : `v${n}.${i}`))
    await produce(topic, [...wave(0), ...wave(1)], 2)
    const config = configOf({
      source: kafka({ brokers: part('kafka').brokers, topic, value: text() }),
      until: ({ value }) => value.startsWith('marker'),
      commit: everyN(3),
    })
    await toItsEnd(config)
    const first = wave(0).slice(0, 10)
    expect((await effects()).sort()).toEqual([...first].sort())
    const [view] = await viewGroups(config)
    expect(view!.partitions.map(({ state, committed, lag }) => [state, committed, lag])).toEqual([
      ['finished', '5', '15'],
      ['finished', '5', '15'],
    ])
    await toItsEnd(config)
    expect((await effects()).sort()).toEqual(wave(0).sort())
  })

  it("reads a backlog to the head it has when the run begins, and 'head' of nothing ends at once", async () => {
    const stream = unique('orders')
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions: 3 })
    const append = (from: number, count: number) =>
      appendEvents(
        connectionString,
        stream,
        Array.from({ length: count }, (_, i) => ({ key: `${i}`, type: 'order', value: `v${from + i}` })),
      )
    const config = configOf({ source: postgresStream<string>({ connectionString, stream }), until: 'head' })
    const nothing = await toItsEnd(config)
    expect(nothing.reports.map(({ condition }) => condition)).toEqual(['finished', 'finished', 'finished'])
    await append(0, 3_000)
    await toItsEnd(config)
    expect(new Set(await effects()).size).toBe(3_000)
    expect(await effects()).toHaveLength(3_000)
  })

  it('comes to a head that no message lies before: an aborted transaction and its marker are the end of the log', async () => {
    const topic = unique('orders')
    await createTopic(topic, 1)
    const producer = kafkaClient().producer({ transactionalId: unique('tx'), maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    const write = async (value: string, end: 'commit' | 'abort') => {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ value }] })
      await transaction[end]()
    }
    await write('kept', 'commit')
    await write('aborted', 'abort')
    const config = configOf({ source: kafka({ brokers: part('kafka').brokers, topic, value: text() }), until: 'head' })
    await toItsEnd(config)
    expect(await effects()).toEqual(['kept'])
    await write('later', 'commit')
    await producer.disconnect()
    await toItsEnd(config)
    expect(await effects()).toEqual(['kept', 'later'])
  })

  it('lets the command line end by itself, and tells what has become of it when no worker runs any more', async () => {
    const stream = unique('orders')
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions: 2 })
    await appendEvents(
      connectionString,
      stream,
      Array.from({ length: 500 }, (_, n) => ({ key: `${n}`, value: n })),
    )
    const project = await Project.create({ DATABASE_URL: connectionString })
    try {
      await project.write(
        'tidemark.config.ts',
        `import { consumer, defineConfig } from 'tidemark'
        import { postgresStore, postgresStream } from 'tidemark/postgres'
        const connectionString = process.env.DATABASE_URL
        export default defineConfig({
          store: postgresStore({ connectionString }),
          taskQueue: '${unique('queue')}',
          consumers: [consumer({ group: 'nightly', source: postgresStream({ connectionString, stream: '${stream}' }), until: 'head', handler: () => {} })],
        })`,
      )
      const started = await project.run(['start'])
      expect(started).toMatchObject({ code: 0, stdout: '' })
      expect(started.stderr).toContain(`finished: group nightly has read ${stream} to its end, 2 partitions`)
      const status = await project.run(['status', '--json'])
      expect(status.code).toBe(0)
      const [view] = JSON.parse(status.stdout) as [ConsumerView]
      expect(view.partitions.map(({ state, lag }) => [state, lag])).toEqual([
        ['finished', '0'],
        ['finished', '0'],
      ])
      refused(await project.run(['pause', '--group', 'nightly']), 1)
    } finally {
      await project.close()
    }
  })

  it('knows that the last message was handled when the try that did it could not say so', async () => {
    const topic = unique('orders')
    await createTopic(topic, 1)
    await produce(
      topic,
      Array.from({ length: 20 }, (_, i) => (i % 10 === 9 ? 'marker' : `v${i}`)),
      1,
    )
    const handled: string[] = []
    const until = (message: { value: unknown }) => message.value === 'marker'
    const store = memoryStore()
    const { settings } = parseConfig(
      configOf({ source: kafka({ brokers: part('kafka').brokers, topic, value: text() }) }),
    ).consumers[0]!
    const context = { log: silentLog(), signal: new AbortController().signal }
    const source = await kafka({ brokers: part('kafka').brokers, topic, value: text() }).connect(context)
    const { progress, troubles, letters, close } = await store.database.connect(context)
    const runtime = {
      settings,
      source,
      progress,
      sql: progress,
      troubles,
      letters,
      failing: {},
      circuits: new Circuits(silentLog()),
      quarantine: new Slots(1),
      until,
      handler: {
        kind: 'chunk',
        handle: (messages) => void handled.push(...messages.map(({ value }) => String(value))),
      } satisfies HandlerKind,
      store: await store.connect(context),
      budget: new SharedBudget(64 * 1024 * 1024),
      slots: new Slots(1),
      cluster: {
        look: async () => ({
          status: 'running',
          memo: {},
          failing: false,
          cancelled: new Set(),
          lost: new Set(),
          batches: new Map(),
        }),
      },
      story: new Story(settings, silentLog(), new ErrorReports(settings, [], silentLog()), {
        blocked: () => {},
        fenced: () => {},
        caughtUp: () => {},
      }),
      loop: new LoopMonitor(silentLog()),
      log: silentLog(),
      errors: new ErrorReports(settings, [], silentLog()),
      draining: context.signal,
      stopped: context.signal,
    } as unknown as ConsumerRuntime
    const { process } = batchActivities(runtime)
    const identity = await source.identity(0)
    const key = { group: settings.group, stream: topic, partition: 0 }
    await progress.begin(key, { position: 0n, replay: 0, identity })
    const play = async (attempt: number, change: Partial<PartitionBatch>): Promise<PartitionOutcome> => {
      const batch = { partition: 0, from: '0', epoch: 1, batch: 1, replay: 0, identity, ...change }
      const name = { group: settings.group, stream: topic }
      const input: BatchInput = { name, slice: 0, partitions: [batch], mayLeave: 4 }
      const result: BatchResult = await new MockActivityEnvironment({ attempt }).run(process, input)
      return result.partitions[0]!
    }
    const run = { until: 'message', began: '0', replay: 0 } as const
    try {
      expect(await play(1, { run })).toMatchObject({ end: 'finished', to: '10', messages: 10 })
      // Its result was lost: the try after it, and a new owner, find the partition behind the marker.
      expect(await play(2, { run })).toMatchObject({ end: 'finished', to: '10', messages: 0 })
      expect(await play(1, { run, from: '10', epoch: 2 })).toMatchObject({ end: 'finished', to: '10', messages: 0 })
      expect(handled).toHaveLength(10)
      const next = { from: '10', epoch: 3, run: { ...run, began: '10' } }
      expect(await play(1, next)).toMatchObject({ end: 'finished', to: '20', messages: 10 })
      expect(handled.filter((value) => value === 'marker')).toHaveLength(2)
    } finally {
      await source.close()
      await close()
    }
  })
})
