import { afterEach, beforeEach, expect, it } from 'vitest'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { startGroups } from '../../src/client/groups.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { groupWorkflowId, sliceOf, sliceWorkflowId } from '../../src/model/partition.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** What becomes of consumers whose workflows a person ends in the Temporal UI. */
describeWith(['postgres', 'temporal'], 'a person ends a workflow of a consumer in Temporal', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let stream: string
  let config: TidemarkConfig
  let worker: Running
  const [partitions, slices] = [6, 2]
  const billing = () => ({ group: 'billing', stream })

  beforeEach(async () => {
    database = await freshDatabase()
    client = await temporalClient()
    // Streams are names in Temporal, too, and its test server is shared.
    stream = unique('orders')
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions })
    await rowsOf(connectionString, 'create table effects (by text, partition int, n int)')
    config = configOf()
    worker = await run(config)
  })
  afterEach(async () => {
    await worker?.stop().catch(() => {})
    await client?.close()
    await database?.drop()
  })

  /** Two consumers of one stream, whose workflows share a task queue. */
  function configOf(): TidemarkConfig {
    const { connectionString } = database
    const { address, namespace } = part('temporal')
    const note = transactional<number>(async (messages, { tx, group, partition }) => {
      const numbers = messages.map(({ value }) => value)
      await tx.query('insert into effects select $1, $2, unnest($3::int[])', [group, partition, numbers])
    })
    return defineConfig({
      store: postgresStore({ connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: ['billing', 'shipping'].map((group) =>
        consumer<number>({
          group,
          source: postgresStream({ connectionString, stream }),
          slices,
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          handler: note,
        }),
      ),
    })
  }

  let appended = 0
  beforeEach(() => {
    appended = 0
  })
  /** Appends numbers to all partitions. */
  async function append(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, i) => appended + i)
    appended += count
    await appendEvents(
      database.connectionString,
      stream,
      numbers.map((n) => ({ key: `${n}`, value: n })),
    )
  }
  const effects = (by: string) =>
    rowsOf<{ partition: number; n: number }>(
      database.connectionString,
      'select partition, n from effects where by = $1 order by n',
      [by],
    )
  const hasHandled = (by: string, which: (partition: number) => boolean = () => true) =>
    waitFor(
      async () => {
        const there = await rowsOf<{ partition: number; count: string }>(
          database.connectionString,
          'select partition, count(*) from tidemark.events where stream = $1 group by partition',
          [stream],
        )
        const wanted = there.reduce((sum, one) => sum + (which(one.partition) ? Number(one.count) : 0), 0)
        return (await effects(by)).filter(({ partition }) => which(partition)).length >= wanted
      },
      { what: `${by} to handle everything`, timeout: 60_000 },
    )
  const once = async (by: string) => {
    const numbers = (await effects(by)).map(({ n }) => n)
    expect(numbers).toEqual(Array.from({ length: appended }, (_, n) => n))
  }
  const ofSlice = (slice: number) => (partition: number) => sliceOf(partition, slices) === slice
  const statusOf = async (id: string) => (await client.workflow.getHandle(id).describe()).status.name
  const sliceIds = () => [0, 1].map((slice) => sliceWorkflowId(billing(), slice))

  for (const how of ['cancelled', 'terminated'] as const) {
    const end = (id: string) => {
      const handle = client.workflow.getHandle(id)
      return how === 'cancelled' ? handle.cancel() : handle.terminate()
    }

    it(`pauses the partitions of a slice that was ${how}, and resume brings them back`, async () => {
      await append(100)
      await Promise.all([hasHandled('billing'), hasHandled('shipping')])
      await end(sliceWorkflowId(billing(), 1))
      const paused = await waitFor(
        async () => {
          const view = await groupStatus(client, billing())
          const theirs = view.partitions.filter(({ partition }) => ofSlice(1)(partition))
          return theirs.every(({ state }) => state === 'paused') && view
        },
        { what: 'the pause', timeout: 60_000 },
      )
      const of = (slice: number) => paused.partitions.filter(({ partition }) => ofSlice(slice)(partition))
      expect(of(1).map(({ reason }) => reason)).toEqual(of(1).map(() => `slice 1 was ${how} in Temporal`))
      expect(of(0).map(({ state }) => state)).toEqual(of(0).map(() => 'running'))
      await append(100)
      await Promise.all([hasHandled('billing', ofSlice(0)), hasHandled('shipping')])
      expect((await effects('billing')).filter(({ partition, n }) => n >= 100 && ofSlice(1)(partition))).toEqual([])
      await resumeGroup(client, billing(), { partitions: of(1).map(({ partition }) => partition) })
      await hasHandled('billing')
      await once('billing')
      await once('shipping')
    })

    it(`keeps the pauses of a slice that was ${how} as they were`, async () => {
      await append(10)
      await hasHandled('billing')
      await pauseGroup(client, billing(), { partitions: [3], reason: 'look into it' })
      await end(sliceWorkflowId(billing(), 1))
      const reasons = async () =>
        (await groupStatus(client, billing())).partitions
          .filter(({ partition, state }) => ofSlice(1)(partition) && state === 'paused')
          .map(({ reason }) => reason)
      await waitFor(async () => (await reasons()).length === 3, { what: 'the pause', timeout: 60_000 })
      const because = `slice 1 was ${how} in Temporal`
      expect(await reasons()).toEqual([because, 'look into it', because])
    })
  }

  /** As `temporal workflow reset` does: everything after the workflow's first task, or after its last, is forgotten. */
  async function reset(id: string, to: 'first' | 'last'): Promise<string> {
    const { runId } = await client.workflow.getHandle(id).describe()
    const { events } = await client.workflow.getHandle(id, runId).fetchHistory()
    const tasks = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes)
    const task = to === 'first' ? tasks[0] : tasks.at(-1)
    const again = await client.workflowService.resetWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId: id, runId },
      reason: 'a person did',
      requestId: unique('reset'),
      workflowTaskFinishEventId: task!.eventId!,
    })
    return again.runId
  }

  for (const to of ['first', 'last'] as const)
    for (const which of ['slice', 'group'] as const)
      it(`loses and repeats nothing when a ${which} is reset to its ${to} task, and no other group notices`, async () => {
        const id = which === 'slice' ? sliceIds()[1]! : groupWorkflowId('billing', stream)
        await append(1_000)
        await waitFor(async () => (await effects('billing')).length > 0, { what: 'a batch under way' })
        const runId = await reset(id, to)
        await append(100)
        await Promise.all([hasHandled('billing'), hasHandled('shipping')])
        await once('billing')
        await once('shipping')
        expect(await client.workflow.getHandle(id).describe()).toMatchObject({ runId, status: { name: 'RUNNING' } })
        const inTrouble = async () =>
          (await groupStatus(client, billing())).partitions.filter(({ state }) => state !== 'running')
        await waitFor(
          async () => {
            expect(await inTrouble()).toEqual([])
            return true
          },
          { what: 'all partitions to be healthy' },
        )
      })

  it('stops a group that was cancelled, while another consumer on its task queue goes on', async () => {
    await append(100)
    await Promise.all([hasHandled('billing'), hasHandled('shipping')])
    const id = groupWorkflowId('billing', stream)
    await client.workflow.getHandle(id).cancel()
    await waitFor(async () => (await statusOf(id)) === 'CANCELLED', { what: 'the group to end', timeout: 60_000 })
    expect(await Promise.all(sliceIds().map(statusOf))).toEqual(['COMPLETED', 'COMPLETED'])
    await append(100)
    await hasHandled('shipping')
    expect(await effects('billing')).toHaveLength(100)
    // A worker that starts leaves it so, until a person says otherwise.
    const only = [billing()]
    const [stopped] = await startGroups(config, { only })
    expect(stopped!.stopped).toContain(`group billing on ${stream} was cancelled in Temporal`)
    expect(await statusOf(id)).toBe('CANCELLED')
    await startGroups(config, { only, resumeStopped: true })
    await hasHandled('billing')
    await once('billing')
    await once('shipping')
  })

  it('leaves the slices of a group that was terminated working, and starts it again only when a person says so', async () => {
    await append(10)
    await hasHandled('billing')
    const id = groupWorkflowId('billing', stream)
    await client.workflow.getHandle(id).terminate()
    await append(10)
    await Promise.all([hasHandled('billing'), hasHandled('shipping')])
    const only = [billing()]
    const [stopped] = await startGroups(config, { only })
    expect(stopped!.stopped).toContain(`group billing on ${stream} was terminated in Temporal`)
    await startGroups(config, { only, resumeStopped: true })
    await pauseGroup(client, billing(), { reason: 'it obeys' })
    await waitFor(
      async () => (await groupStatus(client, billing())).partitions.every(({ state }) => state === 'paused'),
      { what: 'its slices to obey' },
    )
    await resumeGroup(client, billing())
    await append(10)
    await hasHandled('billing')
    await once('billing')
  })
})
