import { afterEach, beforeEach, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { type CliProcess, Project } from '../support/cli.js'
import { produce, rowsOf, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const partitions = 6
const slices = 3
const heartbeatMs = 3_000
/** Beyond the heartbeat timeout: Temporal notices it, another worker claims and reads. Twice what a machine without other work needs. */
const takeOverMs = 6_000

describeWith(['kafka', 'postgres', 'temporal'], 'a worker that is killed', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let project: Project
  let topic: string
  let workers: CliProcess[]

  beforeEach(async () => {
    database = await freshDatabase()
    client = await temporalClient()
    project = await Project.create()
    topic = unique('orders')
    await createTopic(topic, partitions)
    await sql('create table effects (part int, log_offset bigint, at timestamptz default clock_timestamp())')
  })
  afterEach(async () => {
    await project.close()
    await client.close()
    await database.drop()
  })

  const sql = <T extends object>(query: string) => rowsOf<T>(database.connectionString, query)
  const handled = async () => Number((await sql<{ n: string }>('select count(*) n from effects'))[0]!.n)

  async function startTwo(restAfter: string): Promise<void> {
    await project.write(
      'tidemark.config.ts',
      `
import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka, text } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
export default defineConfig({
  store: postgresStore({ connectionString: ${JSON.stringify(database.connectionString)}, poolSize: 5 }),
  taskQueue: ${JSON.stringify(unique('queue'))},
  consumers: [consumer<string>({
    group: 'bank',
    source: kafka({ brokers: ${JSON.stringify(part('kafka').brokers)}, topic: ${JSON.stringify(topic)}, value: text() }),
    slices: ${slices},
    heartbeatTimeout: '${heartbeatMs}ms',
    batch: { restAfter: '${restAfter}' },
    handler: transactional<string>(async (messages, { tx, partition }) => {
      const offsets = messages.map(({ offset }) => String(offset))
      await tx.query('insert into effects (part, log_offset) select $1, * from unnest($2::bigint[])', [partition, offsets])
    }),
  })],
})`,
    )
    workers = [project.start(['start']), project.start(['start'])]
    await Promise.all(workers.map((worker) => worker.said('running: group bank')))
    await produceAll()
    await waitFor(async () => (await handled()) === partitions, { what: 'the first messages', timeout: 30_000 })
  }

  const produceAll = () => produce(topic, Array.from({ length: partitions }, String), partitions)

  /** The worker that has an activity of this workflow. */
  async function holderOf(workflowId: string, activity: string): Promise<CliProcess | undefined> {
    const { raw } = await client.workflow.getHandle(workflowId).describe()
    const pending = raw.pendingActivities?.find(({ activityType }) => activityType?.name === activity)
    return workers.find(({ pid }) => pending?.lastWorkerIdentity?.startsWith(`${pid}@`))
  }
  const name = () => ({ group: 'bank', stream: topic })

  /** Kills the worker; a message comes for each partition. Returns how long the last of them took. */
  async function takenOver(worker: CliProcess): Promise<number> {
    await worker.kill()
    await produceAll()
    const since = performance.now()
    await waitFor(async () => (await handled()) === 2 * partitions, { what: 'all messages', timeout: 60_000 })
    return performance.now() - since
  }

  it('is followed within the heartbeat timeout and a few seconds where it waited for a group at rest', async () => {
    await startTwo('500ms')
    const resting = async (slice: number) =>
      (await client.workflow.getHandle(sliceWorkflowId(name(), slice)).describe()).raw.pendingActivities?.length === 0
    await waitFor(async () => (await Promise.all([0, 1, 2].map(resting))).every(Boolean), {
      what: 'all slices to rest',
      timeout: 30_000,
    })
    const poller = await waitFor(() => holderOf(groupWorkflowId('bank', topic), 'poll'), { what: 'the poll' })
    expect(await takenOver(poller)).toBeLessThan(heartbeatMs + takeOverMs)
  })

  it('is followed as soon where its batches were open', async () => {
    await startTwo('1m')
    const holder = await waitFor(() => holderOf(sliceWorkflowId(name(), 0), 'process'), { what: 'a batch' })
    expect(await takenOver(holder)).toBeLessThan(heartbeatMs + takeOverMs)
    // That its worker died says nothing about the handler.
    const { raw } = await client.workflow.getHandle(sliceWorkflowId(name(), 0)).describe()
    expect(raw.pendingActivities).toMatchObject([{ attempt: 2, lastFailure: { timeoutFailureInfo: {} } }])
    const states = (await groupStatus(client, name())).partitions.map(({ state, reason }) => `${state} ${reason}`)
    expect(new Set(states)).toEqual(new Set(['running ']))
  })
})
