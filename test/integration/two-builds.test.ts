import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { appendEvents, createStream } from '../../src/entry/postgres.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { type CliProcess, Project } from '../support/cli.js'
import { rowsOf, temporalClient } from '../support/consume.js'
import { freshDatabase } from '../support/fresh-database.js'
import { type OtherBuild, otherBuild } from '../support/other-build.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const group = 'billing'
/** temporal.api.enums.v1.WorkflowTaskFailedCause: a signal came while the task was decided, so it is decided again. */
const unhandledCommand = 1

/** Upgrades of Tidemark itself, and roll-backs, while the same config reads on. Side by side, since most of their time is spent waiting. */
describeWith(['postgres', 'temporal'], 'two builds of Tidemark', () => {
  let client: Client & { close(): Promise<void> }
  let other: OtherBuild

  beforeAll(async () => {
    client = await temporalClient()
    other = await otherBuild()
  })
  afterAll(async () => {
    await other?.remove()
    await client?.close()
  })

  it.concurrent('hand a group over in a rolling upgrade, and back in a roll-back', () =>
    inScene(client, other, async (scene) => {
      const old = await scene.started('before')
      await scene.worksOn()
      const first = await scene.onlyQueue()

      const upgraded = await scene.started('after')
      await scene.movedFrom(first)
      const second = await scene.onlyQueue()
      await scene.worksOn()
      expect((await old.stop()).code).toBe(0)
      await scene.worksOn()
      expect(await scene.queues()).toEqual([second])

      const rolledBack = await scene.started('before')
      await scene.movedFrom(second)
      expect(await scene.queues()).toEqual([first])
      await scene.worksOn()
      expect((await upgraded.stop()).code).toBe(0)
      await scene.worksOn()

      await scene.everythingOnce()
      expect(await scene.past()).toEqual({ ends: ['CONTINUED_AS_NEW'], failures: [] })
      expect((await rolledBack.stop()).code).toBe(0)
    }))

  for (const how of ['stop', 'kill'] as const)
    it.concurrent(`take a group over whose workers are gone before (${how})`, () =>
      inScene(client, other, async (scene) => {
        const old = await scene.started('before')
        await scene.worksOn()
        const first = await scene.onlyQueue()
        await old[how]()

        const upgraded = await scene.started('after')
        await scene.movedFrom(first)
        await scene.worksOn()
        await scene.everythingOnce()
        expect(await scene.past()).toEqual({ ends: ['TERMINATED'], failures: [] })
        expect(upgraded.stderr).toContain('of which no worker is left')
        await upgraded.stop()
      }))

  it.concurrent('take a group back whose newest workers died at once, without a person', () =>
    inScene(client, other, async (scene) => {
      const old = await scene.started('before')
      await scene.worksOn()
      const first = await scene.onlyQueue()
      const canary = await scene.started('after')
      await scene.movedFrom(first)
      const second = await scene.onlyQueue()
      await canary.kill()
      await scene.movedFrom(second)
      expect(await scene.queues()).toEqual([first])
      await scene.worksOn()
      await scene.everythingOnce()
      expect((await scene.past()).failures).toEqual([])
      await old.stop()
    }))
})

/** A group under load, with a stream and a database of its own, and a project for each build. */
async function inScene(client: Client, other: OtherBuild, test: (scene: Scene) => Promise<void>): Promise<void> {
  const database = await freshDatabase()
  const stream = unique('orders')
  const { connectionString } = database
  const load = new Load(connectionString, stream)
  const projects = {
    before: await Project.create({ DATABASE_URL: connectionString }),
    after: await Project.create({ DATABASE_URL: connectionString }, other.folder),
  }
  try {
    await createStream(connectionString, { stream, partitions: 4 })
    await rowsOf(connectionString, 'create table effects (n int)')
    const config = configOf(stream, unique('queue'))
    for (const project of Object.values(projects)) await project.write('tidemark.config.ts', config)
    load.start()
    await test(new Scene(client, connectionString, stream, projects, load))
  } finally {
    await load.stop()
    await Promise.all(Object.values(projects).map((project) => project.close()))
    await database.drop()
  }
}

class Scene {
  readonly #workflows: readonly string[]

  constructor(
    private readonly client: Client,
    private readonly connectionString: string,
    stream: string,
    private readonly projects: { readonly before: Project; readonly after: Project },
    private readonly load: Load,
  ) {
    this.#workflows = [
      groupWorkflowId(group, stream),
      ...[0, 1].map((slice) => sliceWorkflowId({ group, stream }, slice)),
    ]
  }

  async started(build: 'before' | 'after'): Promise<CliProcess> {
    const worker = this.projects[build].start(['start'])
    // A build without workers is waited for, for half a minute of a quiet machine.
    await worker.said('running: group', 120_000)
    return worker
  }

  /** Waits until what was appended by now, and some more, has been handled. */
  async worksOn(): Promise<void> {
    const wanted = this.load.appended + 50
    await waitFor(async () => (await this.#handled()).length >= wanted, { what: `${wanted} messages`, timeout: 60_000 })
  }

  /** The group's and its slices' workflows run on a queue of their own for each build. */
  async queues(): Promise<string[]> {
    const found = await Promise.all(this.#workflows.map((id) => this.client.workflow.getHandle(id).describe()))
    return [...new Set(found.map(({ taskQueue }) => taskQueue))]
  }

  async movedFrom(queue: string): Promise<void> {
    const moved = async () => {
      const now = await this.queues()
      return now.length === 1 && !now.includes(queue)
    }
    // Workers that are gone count as there for some 50 s: their last polls are open at Temporal.
    await waitFor(moved, { what: `all workflows to leave ${queue}`, timeout: 120_000 })
  }

  async onlyQueue(): Promise<string> {
    const [queue, ...more] = await waitFor(
      async () => {
        const now = await this.queues()
        return now.length === 1 && now
      },
      { what: 'one queue' },
    )
    expect(more).toEqual([])
    return queue!
  }

  /** Each message was handled once. */
  async everythingOnce(): Promise<void> {
    const { load } = this
    await load.stop()
    const all = async () => (await this.#handled()).length >= load.appended
    await waitFor(all, { what: 'the last messages', timeout: 60_000 })
    expect(await this.#handled()).toEqual(Array.from({ length: load.appended }, (_, n) => n))
  }

  /** How every run but the last ones ended, and the workflow tasks that failed: no worker was given a history that it could not replay. */
  async past(): Promise<{ ends: string[]; failures: string[] }> {
    const { client } = this
    const ends = new Set<string>()
    const failures: string[] = []
    let runs = 0
    for (const id of this.#workflows)
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

  async #handled(): Promise<number[]> {
    const rows = await rowsOf<{ n: number }>(this.connectionString, 'select n from effects order by n')
    return rows.map(({ n }) => n)
  }
}

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
