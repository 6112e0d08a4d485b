import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { appendEvents, createStream } from '../../src/entry/postgres.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { type CliProcess, Project } from '../support/cli.js'
import { rowsOf, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { type OtherBuild, otherBuild } from '../support/other-build.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const group = 'billing'
/** temporal.api.enums.v1.WorkflowTaskFailedCause: a signal came while the task was decided, so it is decided again. */
const unhandledCommand = 1

/** Upgrades of Tidemark itself, and roll-backs, while the same config reads on. */
describeWith(['postgres', 'temporal'], 'two builds of Tidemark', () => {
  let client: Client & { close(): Promise<void> }
  let other: OtherBuild
  let database: FreshDatabase
  let stream: string
  let before: Project
  let after: Project
  let load: Load

  beforeAll(async () => {
    client = await temporalClient()
    other = await otherBuild()
  })
  afterAll(async () => {
    await other?.remove()
    await client?.close()
  })
  beforeEach(async () => {
    database = await freshDatabase()
    stream = unique('orders')
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions: 4 })
    await rowsOf(connectionString, 'create table effects (n int)')
    before = await Project.create({ DATABASE_URL: connectionString })
    after = await Project.create({ DATABASE_URL: connectionString }, other.folder)
    const config = configOf(stream, unique('queue'))
    for (const project of [before, after]) await project.write('tidemark.config.ts', config)
    load = new Load(connectionString, stream)
  })
  afterEach(async () => {
    await load?.stop()
    await Promise.all([before?.close(), after?.close()])
    await database?.drop()
  })

  async function started(project: Project): Promise<CliProcess> {
    const worker = project.start(['start'])
    await worker.said('running: group')
    return worker
  }

  const handled = async () => (await rowsOf<{ n: number }>(database.connectionString, 'select n from effects')).length

  /** Waits until what was appended by now, and some more, has been handled. */
  async function worksOn(): Promise<void> {
    const wanted = load.appended + 50
    await waitFor(async () => (await handled()) >= wanted, { what: `${wanted} messages`, timeout: 60_000 })
  }

  /** The group's and its slices' workflows run on a queue of their own for each build. */
  async function queues(): Promise<string[]> {
    const ids = [groupWorkflowId(group, stream), ...[0, 1].map((slice) => sliceWorkflowId({ group, stream }, slice))]
    const found = await Promise.all(ids.map((id) => client.workflow.getHandle(id).describe()))
    return [...new Set(found.map(({ taskQueue }) => taskQueue))]
  }
  const movedFrom = (queue: string) =>
    waitFor(async () => !(await queues()).includes(queue) && (await queues()).length === 1, {
      what: `all workflows to leave ${queue}`,
      timeout: 60_000,
    })
  async function onlyQueue(): Promise<string> {
    const [queue, ...more] = await waitFor(async () => (await queues()).length === 1 && queues(), { what: 'one queue' })
    expect(more).toEqual([])
    return queue!
  }

  /** Each message was handled once, and no worker was given a history that it could not replay. */
  async function everythingOnce(): Promise<void> {
    await load.stop()
    await waitFor(async () => (await handled()) >= load.appended, { what: 'the last messages', timeout: 60_000 })
    const numbers = await rowsOf<{ n: number }>(database.connectionString, 'select n from effects order by n')
    expect(numbers.map(({ n }) => n)).toEqual(Array.from({ length: load.appended }, (_, n) => n))
  }

  /** How every run but the last ones ended, and the workflow tasks that failed. */
  async function past(): Promise<{ ends: string[]; failures: string[] }> {
    const ends = new Set<string>()
    const failures: string[] = []
    let runs = 0
    for (const id of [
      groupWorkflowId(group, stream),
      ...[0, 1].map((slice) => `${groupWorkflowId(group, stream)}/${slice}`),
    ])
      for await (const { runId, status } of client.workflow.list({ query: `WorkflowId = '${id}'` })) {
        runs++
        if (status.name !== 'RUNNING') ends.add(status.name)
        const { events } = await client.workflow.getHandle(id, runId).fetchHistory()
        for (const { workflowTaskFailedEventAttributes: failed } of events ?? [])
          if (failed && failed.cause !== unhandledCommand) failures.push(`${id}: ${failed.failure?.message}`)
      }
    expect(runs).toBeGreaterThan(3)
    return { ends: [...ends], failures }
  }

  it('hand a group over in a rolling upgrade, and back in a roll-back', async () => {
    const old = await started(before)
    load.start()
    await worksOn()
    const first = await onlyQueue()

    const upgraded = await started(after)
    await movedFrom(first)
    const second = await onlyQueue()
    await worksOn()
    expect((await old.stop()).code).toBe(0)
    await worksOn()
    expect(await queues()).toEqual([second])

    const rolledBack = await started(before)
    await movedFrom(second)
    expect(await queues()).toEqual([first])
    await worksOn()
    expect((await upgraded.stop()).code).toBe(0)
    await worksOn()

    await everythingOnce()
    expect(await past()).toEqual({ ends: ['CONTINUED_AS_NEW'], failures: [] })
    expect((await rolledBack.stop()).code).toBe(0)
  })

  it.each(['stop', 'kill'] as const)('take a group over whose workers are gone before (%s)', async (how) => {
    const old = await started(before)
    load.start()
    await worksOn()
    const first = await onlyQueue()
    await old[how]()

    const upgraded = await started(after)
    await movedFrom(first)
    await worksOn()
    await everythingOnce()
    expect(await past()).toEqual({ ends: ['TERMINATED'], failures: [] })
    expect(upgraded.stderr).toContain('of which no worker is left')
    await upgraded.stop()
  })

  it('take a group back whose newest workers died at once, without a person', async () => {
    const old = await started(before)
    load.start()
    await worksOn()
    const first = await onlyQueue()
    const canary = await started(after)
    await movedFrom(first)
    const second = await onlyQueue()
    await canary.kill()
    await movedFrom(second)
    expect(await queues()).toEqual([first])
    await worksOn()
    await everythingOnce()
    expect((await past()).failures).toEqual([])
    await old.stop()
  })
})

/** Appends numbered events until it is stopped. */
class Load {
  appended = 0
  #running: Promise<void> | undefined
  #stopped = false

  constructor(
    private readonly connectionString: string,
    private readonly stream: string,
  ) {}

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const numbers = Array.from({ length: 10 }, (_, i) => this.appended + i)
      const events = numbers.map((n) => ({ key: `${n}`, value: n }))
      await appendEvents(this.connectionString, this.stream, events)
      this.appended += numbers.length
      await sleep(50)
    }
  }
}

function configOf(stream: string, queue: string): string {
  return `
    import { consumer, defineConfig, transactional } from 'tidemark'
    import { postgresStore, postgresStream } from 'tidemark/postgres'

    const connectionString = process.env.DATABASE_URL
    export default defineConfig({
      store: postgresStore({ connectionString }),
      taskQueue: '${queue}',
      consumers: [
        consumer({
          group: '${group}',
          source: postgresStream({ connectionString, stream: '${stream}' }),
          slices: 2,
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          handler: transactional(async (messages, { tx }) => {
            await tx.query('insert into effects select unnest($1::int[])', [messages.map(({ value }) => value)])
          }),
        }),
      ],
    })`
}
