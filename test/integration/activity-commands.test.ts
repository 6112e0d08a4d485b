import { afterEach, beforeEach, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { sliceOf, sliceWorkflowId } from '../../src/model/partition.js'
import type { Message } from '../../src/ports/index.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** temporal.api.enums.v1.PendingActivityState */
const paused = 4

/**
 * What a person does to a batch in the Temporal UI: pause, unpause, reset. The handler is a plain one, whose effects nothing takes back:
 * a chunk that is not finished, or that comes again, shows.
 */
describeWith(['postgres', 'temporal'], 'a person pauses or resets the activity of a batch in Temporal', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let stream: string
  let worker: Running
  const [partitions, slices] = [4, 2]
  const name = () => ({ group: 'billing', stream })
  const ofSlice = (slice: number) => (partition: number) => sliceOf(partition, slices) === slice

  /** What the handler was given and what it finished, in order. */
  let begun: Message<number>[] = []
  let done: Message<number>[] = []
  /** Handlers of partitions of slice 0 wait for it, as long as it is set. */
  let gate: Promise<void> | null = null
  let open = () => {}
  const shut = () => {
    gate = new Promise((resolve) => {
      open = () => {
        gate = null
        resolve()
      }
    })
  }

  beforeEach(async () => {
    ;[begun, done, gate] = [[], [], null]
    database = await freshDatabase()
    client = await temporalClient()
    // Streams are names in Temporal, too, and its test server is shared.
    stream = unique('orders')
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions })
    const { address, namespace } = part('temporal')
    worker = await run(
      defineConfig({
        store: postgresStore({ connectionString, poolSize: 5 }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer<number>({
            group: 'billing',
            source: postgresStream({ connectionString, stream }),
            slices,
            // A worker hears of a pause by the answer to a heartbeat.
            heartbeatTimeout: '2s',
            batch: { maxDuration: '1m', idleGap: '300ms' },
            chunk: { maxMessages: 5 },
            handler: async (messages, { partition }) => {
              begun.push(...messages)
              if (gate && ofSlice(0)(partition)) await gate
              done.push(...messages)
            },
          }),
        ],
      }),
    )
  })
  afterEach(async () => {
    open()
    await worker?.stop().catch(() => {})
    await client?.close()
    await database?.drop()
  })

  let appended = 0
  beforeEach(() => {
    appended = 0
  })
  async function append(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, i) => appended + i)
    appended += count
    const events = numbers.map((n) => ({ key: `${n}`, value: n }))
    await appendEvents(database.connectionString, stream, events)
  }
  /** How many events each partition of a slice has. */
  async function wanted(slice: number): Promise<number> {
    const events = await rowsOf<{ partition: number }>(
      database.connectionString,
      'select partition from tidemark.events where stream = $1',
      [stream],
    )
    return events.filter(({ partition }) => ofSlice(slice)(partition)).length
  }
  const of = (messages: readonly Message<number>[], slice: number) =>
    messages.filter(({ partition }) => ofSlice(slice)(partition))
  const hasHandled = async (slice: number) => {
    const count = await wanted(slice)
    // A message that came twice counts once.
    const handled = () => new Set(of(done, slice).map(({ value }) => value)).size
    await waitFor(() => handled() >= count, { what: `slice ${slice} to handle all`, timeout: 60_000 })
  }
  const once = () => {
    const numbers = (messages: readonly Message<number>[]) => messages.map(({ value }) => value).sort((a, b) => a - b)
    const all = Array.from({ length: appended }, (_, n) => n)
    expect(numbers(done)).toEqual(all)
    expect(numbers(begun)).toEqual(all)
  }
  const slice = (index: number) => client.workflow.getHandle(sliceWorkflowId(name(), index))
  /** Temporal's view of the one batch of slice 0. */
  async function batch() {
    const pending = (await slice(0).describe()).raw.pendingActivities ?? []
    return pending.find(({ activityType }) => activityType?.name === 'process')
  }
  const target = () => ({
    namespace: client.options.namespace,
    execution: { workflowId: slice(0).workflowId },
    identity: 'ada',
    type: 'process',
  })
  const pause = () => client.workflowService.pauseActivity({ ...target(), reason: 'look into it' })
  const unpause = () => client.workflowService.unpauseActivity(target())
  const reset = () => client.workflowService.resetActivity(target())
  /** Waits until people who search for this state, and for no other, find slice 0. */
  const shows = (state: string) =>
    waitFor(async () => String((await slice(0).describe()).searchAttributes.TidemarkState) === state, {
      what: `the search attribute to be ${state}`,
      timeout: 30_000,
    })
  const held = () => waitFor(async () => (await batch())?.state === paused, { what: 'Temporal to hold the batch' })

  /** Waits until the worker has the answers to two more heartbeats: it knows of a command that came before. */
  async function heard(): Promise<void> {
    for (let beats = 0, last = ''; beats < 3; ) {
      const beat = await waitFor(
        async () => {
          const { seconds, nanos } = (await batch())?.lastHeartbeatTime ?? {}
          return `${seconds}.${nanos}` !== last && `${seconds}.${nanos}`
        },
        { what: 'a heartbeat' },
      )
      last = beat
      beats++
    }
  }

  /** A backlog, whose first chunk the handlers of slice 0 have in hand. */
  async function chunksInHand(): Promise<number> {
    shut()
    const before = begun.length
    await append(100)
    const inHand = () => of(begun.slice(before), 0)
    await waitFor(() => new Set(inHand().map(({ partition }) => partition)).size === 2, { what: 'a chunk of each' })
    return inHand().length
  }

  it('pause: finishes the chunks in hand, then Temporal holds the batch, and unpause goes on with nothing lost or repeated', async () => {
    const inHand = await chunksInHand()
    await pause()
    await heard()
    expect(of(done, 0)).toEqual([])
    open()
    await held()
    expect(of(done, 0)).toHaveLength(inHand)
    await append(50)
    await hasHandled(1)
    expect(of(begun, 0)).toHaveLength(inHand)
    // The worker answers, and says what the matter is.
    const view = await groupStatus(client, name())
    for (const { partition, state, reason } of view.partitions)
      if (ofSlice(0)(partition)) expect([state, reason]).toEqual(['held', 'by ada in Temporal: look into it'])
      else expect(state).toBe('running')
    await shows('held')
    await unpause()
    await hasHandled(0)
    once()
    await shows('running')
    const after = await groupStatus(client, name())
    expect(after.partitions.map(({ state }) => state)).toEqual(after.partitions.map(() => 'running'))
  })

  it('pause: holds a batch that waits for messages', async () => {
    await append(20)
    await Promise.all([hasHandled(0), hasHandled(1)])
    const before = of(done, 0).length
    await pause()
    await held()
    await append(50)
    await hasHandled(1)
    expect(of(begun, 0)).toHaveLength(before)
    await unpause()
    await hasHandled(0)
    once()
  })

  it('reset: finishes the chunks in hand, and the batch begins anew behind them', async () => {
    const inHand = await chunksInHand()
    const resetBatch = (await batch())?.activityId
    await reset()
    await heard()
    expect(of(begun, 0)).toHaveLength(inHand)
    open()
    shut()
    await waitFor(() => of(begun, 0).length > inHand, { what: 'the chunks behind them' })
    expect((await batch())?.activityId).toBe(resetBatch)
    open()
    await Promise.all([hasHandled(0), hasHandled(1)])
    once()
  })

  it('reset: loses nothing when tries are counted from 1 again, and repeats at most what was in hand', async () => {
    await append(20)
    await hasHandled(0)
    await pause()
    await held()
    await unpause()
    await append(20)
    await hasHandled(0)
    expect((await batch())?.attempt).toBeGreaterThan(1)
    const before = begun.length
    await chunksInHand()
    const inHand = of(begun.slice(before), 0).map(({ value }) => value)
    const resetBatch = (await batch())?.activityId
    await reset()
    // Temporal refuses the heartbeats of a try that has another number, and takes its worker for dead: another batch has the partitions.
    await waitFor(async () => (await batch())?.activityId !== resetBatch, { what: 'another batch' })
    open()
    await Promise.all([hasHandled(0), hasHandled(1)])
    const numbers = done.map(({ value }) => value)
    expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual(Array.from({ length: appended }, (_, n) => n))
    const repeated = numbers.filter((value, index) => numbers.indexOf(value) !== index)
    expect(inHand).toEqual(expect.arrayContaining(repeated))
    const view = await groupStatus(client, name())
    expect(view.partitions.map(({ state }) => state)).toEqual(view.partitions.map(() => 'running'))
  })
})
