import type { Client } from '@temporalio/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startGroups } from '../../src/client/groups.js'
import { inSession } from '../../src/client/session.js'
import { resumeIn } from '../../src/client/steer.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { type GroupInput, workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import type { PartitionBlocked, PartitionCaughtUp, PartitionFenced } from '../../src/model/partition-events.js'
import type { Log } from '../../src/ports/index.js'
import { createWorker } from '../../src/worker/create.js'
import { rowsOf, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** Keeps every line with its level. The SDK's own log must not have been set in this process before: see `sendTemporalLogTo`. */
function everyLine(): Log & { readonly lines: { level: string; text: string }[] } {
  const lines: { level: string; text: string }[] = []
  const at = (level: string) => (_: object, text: string) => void lines.push({ level, text })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

describeWith(['temporal', 'postgres'], 'a worker as a library', () => {
  let database: FreshDatabase
  let client: Client & { close(): Promise<void> }

  beforeAll(async () => {
    client = await temporalClient()
    database = await freshDatabase()
  })
  afterAll(async () => {
    await database?.drop()
    await client?.close()
  })

  async function configOf(options: { stream?: string; queue?: string; slices?: number } = {}): Promise<TidemarkConfig> {
    const { connectionString } = database
    const { stream = unique('orders'), queue = unique('queue'), slices } = options
    if (!options.stream) await createStream(connectionString, { stream, partitions: 2 })
    const { address, namespace } = part('temporal')
    return defineConfig({
      store: postgresStore({ connectionString }),
      temporal: { address, namespace },
      taskQueue: queue,
      consumers: [
        consumer({
          group: 'bank',
          source: postgresStream({ connectionString, stream }),
          handler: async () => {},
          ...(slices === undefined ? {} : { slices }),
        }),
      ],
    })
  }

  /** Waits until nothing in this process is connected to the database. */
  function waitForNoConnections(): Promise<unknown> {
    const text = `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
    return waitFor(async () => (await rowsOf(database.connectionString, text)).length === 0, {
      what: 'the database to be left alone',
      timeout: 20_000,
    })
  }

  it('ends before it has run: run resolves, and everything is closed', async () => {
    const worker = await createWorker(await configOf(), { log: everyLine() })
    expect(worker.state).toBe('created')
    const stopped = new Promise((resolve) => worker.on('stopped', resolve))
    worker.shutdown()
    expect(await stopped).toBeNull()
    await worker.run()
    expect(worker.state).toBe('stopped')
    await waitForNoConnections()
  })

  it('ends right after it was started, saying so, and everything is closed', async () => {
    const log = everyLine()
    const worker = await createWorker(await configOf(), { log })
    const events: string[] = []
    worker.on('started', () => events.push(`started ${worker.state}`))
    worker.on('stopped', () => events.push(`stopped ${worker.state}`))
    const running = worker.run()
    worker.shutdown()
    expect(worker.state).toBe('stopping')
    await running
    expect(events).toEqual(['started running', 'stopped stopped'])
    await waitForNoConnections()
    // The SDK speaks through the same log, and its routine is for debugging.
    expect(log.lines).toContainEqual({ level: 'debug', text: 'temporal: Worker state changed' })
    expect(log.lines.filter(({ level, text }) => level !== 'debug' && text.startsWith('temporal:'))).toEqual([])
  })

  it.each([0, 5, 20, 60, 120, 250])(
    'hears a signal that aborts %i ms after the beginning, and leaves nothing open',
    async (ms) => {
      const ending = new AbortController()
      const config = await configOf()
      setTimeout(() => ending.abort(), ms)
      const outcome = await createWorker(config, { log: everyLine(), signal: ending.signal }).then(
        // It was ready before.
        async (worker) => {
          await waitFor(() => worker.state !== 'created', { what: 'the worker to end' })
          await worker.run()
          return worker.state
        },
        (error: Error) => error.message,
      )
      expect(outcome).toMatch(/^stopped$|was told to end|ended before/)
      await waitForNoConnections()
    },
  )

  it('tells of partitions that catch up, are blocked, and are fenced, and no faulty listener harms it', async () => {
    const { connectionString } = database
    const stream = unique('orders')
    await createStream(connectionString, { stream, partitions: 1 })
    const append = (...values: string[]) =>
      appendEvents(
        connectionString,
        stream,
        values.map((value) => ({ key: 'k', value })),
      )
    await append('a', 'b', 'c')
    const { address, namespace } = part('temporal')
    const config = defineConfig({
      store: postgresStore({ connectionString }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer({
          group: 'bank',
          source: postgresStream({
            connectionString,
            stream,
            value: (document) => {
              if (String(document).includes('secret')) throw new Error('can not be read')
              return String(document)
            },
          }),
          handler: async () => {},
        }),
      ],
    })
    const log = everyLine()
    const worker = await createWorker(config, { log })
    const heard: { caughtUp: PartitionCaughtUp[]; blocked: PartitionBlocked[]; fenced: PartitionFenced[] } = {
      caughtUp: [],
      blocked: [],
      fenced: [],
    }
    worker.on('caughtUp', () => {
      throw new Error('a faulty listener')
    })
    worker.on('caughtUp', async () => {
      throw new Error('a faulty async listener')
    })
    worker.on('caughtUp', (event) => void heard.caughtUp.push(event))
    worker.on('blocked', (event) => void heard.blocked.push(event))
    worker.on('fenced', (event) => void heard.fenced.push(event))
    const running = worker.run()
    await startGroups(config)
    try {
      const place = { group: 'bank', stream, partition: 0 }
      await waitFor(() => heard.caughtUp.length > 0, { what: 'the partition to catch up', timeout: 30_000 })
      expect(heard.caughtUp).toEqual([{ ...place, position: expect.any(BigInt) }])

      await append('d', 'the secret')
      await waitFor(() => heard.blocked.length > 0, { what: 'the partition to be blocked', timeout: 30_000 })
      const [blocked] = heard.blocked
      expect(blocked).toEqual({
        ...place,
        offset: expect.any(BigInt),
        code: 'UNDECODABLE',
        message: expect.any(String),
      })
      expect(blocked!.offset).toBeGreaterThan(heard.caughtUp[0]!.position)
      expect(blocked!.message).not.toContain('secret')

      await rowsOf(connectionString, 'update tidemark.consumer_progress set epoch = epoch + 5 where stream = $1', [
        stream,
      ])
      await inSession(config, (session) => resumeIn(session, session.config.consumers[0]!, {}))
      await waitFor(() => heard.fenced.length > 0, { what: 'the partition to be fenced', timeout: 30_000 })
      expect(heard.fenced[0]).toMatchObject({ ...place, owner: { epoch: 6 } })
      expect(worker.state).toBe('running')
      const errors = log.lines.filter(({ level }) => level === 'error').map(({ text }) => text)
      expect(errors).toEqual([
        "a listener of the worker's 'caughtUp' has thrown",
        "a listener of the worker's 'caughtUp' has rejected",
        expect.stringMatching(/^blocked: .*can not be read/),
      ])
    } finally {
      worker.shutdown()
      await running
    }
  }, 120_000)

  it('says at its start that a group keeps the number of slices that it has', async () => {
    const stream = unique('orders')
    await createStream(database.connectionString, { stream, partitions: 2 })
    const queue = unique('queue')
    const first = await createWorker(await configOf({ stream, queue, slices: 2 }), { log: everyLine() })
    const running = first.run()
    const [started] = await startGroups(await configOf({ stream, queue, slices: 2 }))
    await waitFor(() => client.workflow.getHandle(started!.workflowId).query('status'), { what: 'the group to run' })
    first.shutdown()
    await running

    const warnings = async (slices?: number) => {
      const log = everyLine()
      const worker = await createWorker(await configOf({ stream, queue, ...(slices ? { slices } : {}) }), { log })
      worker.shutdown()
      await worker.run()
      return log.lines.filter(({ level }) => level === 'warn').map(({ text }) => text)
    }
    expect(await warnings(4)).toEqual([
      `group bank on ${stream} keeps the 2 slices that it was started with, though its config says 4: ` +
        `'tidemark reslice --group bank --stream ${stream} --slices 4' changes that, or put slices: 2 into the config`,
    ])
    expect(await warnings(2)).toEqual([])
    expect(await warnings()).toEqual([])
  })

  it('starts a group again that has ended by itself, and leaves one stopped, its slices too, that a person has terminated', async () => {
    const stream = unique('orders')
    await createStream(database.connectionString, { stream, partitions: 2 })
    const config = await configOf({ stream })
    const log = everyLine()
    const worker = await createWorker(config, { log })
    const running = worker.run()
    const [started] = await startGroups(config)
    const workflowId = groupWorkflowId('bank', stream)
    const handle = client.workflow.getHandle(workflowId)
    const said = (level: string, text: string) =>
      waitFor(() => log.lines.find((line) => line.level === level && line.text.includes(text)), {
        what: `'${text}'`,
        timeout: 60_000,
      })
    try {
      await said('debug', 'is kept running from now on')
      // A run of the same group that times out, as no run of Tidemark's does.
      const { args } = await inputOf(handle)
      const taskQueue = (await handle.describe()).taskQueue
      await client.workflow.start(workflowTypes.group, {
        workflowId,
        taskQueue,
        args,
        workflowRunTimeout: '2s',
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      })
      await said('warn', `group bank on ${stream} did not run any more (its workflow timed out): started again`)
      const again = await handle.describe()
      expect(again.status.name).toBe('RUNNING')
      expect(again.runId).not.toBe(started!.runId)

      await handle.terminate()
      await said('warn', `'tidemark resume --group bank --stream ${stream}' starts it again`)
      expect((await handle.describe()).status.name).toBe('TERMINATED')
      // They outlive the group's workflow: only the record of the stop ends them.
      const slices = [0, 1].map((slice) => client.workflow.getHandle(sliceWorkflowId({ group: 'bank', stream }, slice)))
      const ends = async () =>
        (await Promise.all(slices.map((slice) => slice.describe()))).map((one) => one.status.name)
      await waitFor(async () => (await ends()).every((end) => end === 'COMPLETED'), { what: 'the slices to end' })

      await inSession(config, async (session) => {
        await resumeIn(session, session.config.consumers[0]!, {})
      })
      expect((await handle.describe()).status.name).toBe('RUNNING')
      await waitFor(() => handle.query('status'), { what: 'the group to answer', timeout: 30_000 })
    } finally {
      worker.shutdown()
      await running
    }
  }, 180_000)

  async function inputOf(handle: ReturnType<Client['workflow']['getHandle']>): Promise<{ args: [GroupInput] }> {
    const { events } = await handle.fetchHistory()
    const payload = events![0]!.workflowExecutionStartedEventAttributes!.input!.payloads![0]!
    return { args: [JSON.parse(Buffer.from(payload.data!).toString()) as GroupInput] }
  }
})
