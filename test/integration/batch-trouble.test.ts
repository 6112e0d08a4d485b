import { defaultPayloadConverter } from '@temporalio/common'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import type { BatchProgress } from '../../src/model/batch.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { type Running, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** More than may be worked apart: the batch of all is retried, and no workflow sees that by itself. */
const partitions = 6

describeWith(['postgres', 'temporal'], 'a batch that is retried as a whole', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let worker: Running | undefined
  beforeAll(async () => {
    database = await freshDatabase()
    client = await temporalClient()
  })
  afterEach(async () => {
    await worker?.stop().catch(() => {})
    worker = undefined
  })
  afterAll(async () => {
    await client?.close()
    await database?.drop()
  })

  it('shows in the search attribute and on the pages of its slice and group, at the cost of one signal, until it is healthy', async () => {
    const { connectionString } = database
    const stream = unique('orders')
    await createStream(connectionString, { stream, partitions })
    const keys = Array.from({ length: 100 }, (_, n) => ({ key: `${n}`, value: n }))
    await appendEvents(connectionString, stream, keys)
    let broken = true
    let handled = 0
    const { address, namespace } = part('temporal')
    worker = await run(
      defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer<number>({
            group: 'billing',
            source: postgresStream({ connectionString, stream }),
            slices: 1,
            batch: { maxDuration: '1s' },
            retry: { initialInterval: '500ms', maximumInterval: '500ms' },
            handler: async (messages) => {
              if (broken) throw new Error('the database is away')
              handled += messages.length
            },
          }),
        ],
      }),
    )
    const name = { group: 'billing', stream }
    const slice = client.workflow.getHandle(sliceWorkflowId(name, 0))
    const group = client.workflow.getHandle(groupWorkflowId(name.group, stream))
    const shows = (state: string) =>
      waitFor(async () => String((await slice.describe()).searchAttributes.TidemarkState) === state, {
        what: `the search attribute to be ${state}`,
        timeout: 30_000,
      })
    /** Without the wide gaps of its tables. */
    const page = async (handle: typeof slice) =>
      (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails.replaceAll(
        '\u2002',
        '',
      )
    const signals = async () => {
      const { events } = await slice.fetchHistory()
      return events!.filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === 'trouble').length
    }
    const lastHeartbeat = () =>
      waitFor(
        async () => {
          const [pending] = (await slice.describe()).raw.pendingActivities ?? []
          const [payload] = pending?.heartbeatDetails?.payloads ?? []
          const said = payload && defaultPayloadConverter.fromPayload<BatchProgress>(payload)
          return said?.failing && said
        },
        { what: 'a heartbeat that tells of the failure' },
      )
    const attempt = async () => (await slice.describe()).raw.pendingActivities?.[0]?.attempt ?? 0

    await shows('retrying')
    await waitFor(async () => (await page(group)).includes('**Partitions 0 to 5**: retrying since '), {
      what: "the group's page",
    })
    expect(await page(group)).toContain('the database is away')
    expect(await page(slice)).toMatch(/\| 3 \| retrying \|.*retrying .*the database is away/)
    const before = await attempt()
    await waitFor(async () => (await attempt()) >= before + 6, { what: 'six more attempts', timeout: 30_000 })
    expect(await signals()).toBe(1)
    const { failing } = await lastHeartbeat()
    expect(Object.keys(failing ?? {}).map(Number)).toEqual(Array.from({ length: partitions }, (_, index) => index))
    for (const { offset, tries, at } of Object.values(failing!)) {
      expect(offset).toMatch(/^\d+$/)
      expect(tries).toBeGreaterThanOrEqual(before + 5)
      expect(Date.now() - Date.parse(at)).toBeLessThan(30_000)
    }

    broken = false
    await waitFor(() => handled === 100, { what: 'all events to be handled', timeout: 30_000 })
    await shows('running')
    await waitFor(async () => !(await page(group)).includes('retrying'), { what: "the group's page to be empty" })
    expect(await signals()).toBe(1)
    const { partitions: views } = await groupStatus(client, name)
    expect(views.map(({ state }) => state)).toEqual(views.map(() => 'running'))
  }, 120_000)
})
