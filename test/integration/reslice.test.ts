import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { Project, refused } from '../support/cli.js'
import { produce, rowsOf, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const partitions = 12
const paused = 5

describeWith(['kafka', 'postgres', 'temporal'], 'tidemark reslice', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let project: Project
  let topic: string

  beforeEach(async () => {
    database = await freshDatabase()
    client = await temporalClient()
    project = await Project.create()
    topic = unique('orders')
    await createTopic(topic, partitions)
    await sql('create table effects (id serial, part int, log_offset bigint)')
    await project.write('tidemark.config.ts', configText())
  })
  afterEach(async () => {
    await project.close()
    await client.close()
    await database.drop()
  })

  const sql = <T extends object>(query: string) => rowsOf<T>(database.connectionString, query)

  function configText(callMs = 0): string {
    return `
import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka, text } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'
export default defineConfig({
  store: postgresStore({ connectionString: ${JSON.stringify(database.connectionString)}, poolSize: 5 }),
  taskQueue: ${JSON.stringify(unique('queue'))},
  consumers: [consumer<string>({
    group: 'bank',
    source: kafka({ brokers: ${JSON.stringify(part('kafka').brokers)}, topic: ${JSON.stringify(topic)}, value: text() }),
    slices: 4,
    heartbeatTimeout: '2s',
    batch: { maxDuration: '1s', idleGap: '300ms' },
    chunk: { maxMessages: 20 },
    handler: transactional<string>(async (messages, { tx, partition }) => {
      const offsets = messages.map(({ offset }) => String(offset))
      await new Promise((resolve) => setTimeout(resolve, ${callMs}))
      await tx.query('insert into effects (part, log_offset) select $1, * from unnest($2::bigint[])', [partition, offsets])
    }),
  })],
})`
  }

  const reslice = (slices: number, ...more: string[]) =>
    project.ask(['reslice', '--group', 'bank', '--slices', String(slices), '--yes', ...more])
  const handled = async () => Number((await sql<{ n: string }>('select count(*) n from effects'))[0]!.n)
  const handledOf = async (partition: number) =>
    Number((await sql<{ n: string }>(`select count(*) n from effects where part = ${partition}`))[0]!.n)
  /** The slices whose workflows run. */
  const running = async () => {
    const looks = await Promise.all(
      Array.from({ length: 8 }, (_, slice) =>
        client.workflow
          .getHandle(sliceWorkflowId({ group: 'bank', stream: topic }, slice))
          .describe()
          .then(
            ({ status }) => status.name === 'RUNNING',
            () => false,
          ),
      ),
    )
    return looks.filter(Boolean).length
  }

  it('changes the slices of a group under load: nothing is lost, doubled or out of order, and pauses stay', async () => {
    const writing = { produced: 0, over: false }
    const load = (async () => {
      for (; !writing.over; await sleep(100)) {
        await produce(topic, values(240), partitions)
        writing.produced += 240
      }
    })()
    const worker = project.start(['start'])
    try {
      await waitFor(async () => (await handled()) > 1_000, { what: 'effects', timeout: 60_000 })
      expect(await running()).toBe(4)
      await project.ask(['pause', '--group', 'bank', '--partition', String(paused), '--reason', 'look at it'])
      const waited = () =>
        sql<{ offset: string }>(`select "offset" from tidemark.consumer_offsets where partition = ${paused}`)
      await waitFor(
        async () => {
          const { stdout } = await project.ask(['status', '--json'])
          return JSON.parse(stdout)[0].partitions[paused].state === 'paused'
        },
        { what: 'the pause', timeout: 30_000 },
      )
      const count = await handledOf(paused)
      const stands = [{ offset: String(count - 1) }]
      // What was in hand is handled when it counts as paused; the commit is on its way.
      await waitFor(async () => (await waited())[0]?.offset === stands[0]!.offset, { what: 'its commit' })

      for (const [before, slices, generation] of [
        [4, 3, 2],
        [3, 8, 3],
      ] as const) {
        const { code, stdout } = await reslice(slices, '--json', '--why', `${slices} are better`)
        expect(JSON.parse(stdout)).toMatchObject({
          group: 'bank',
          stream: topic,
          before,
          slices,
          generation,
          changed: true,
        })
        expect(code).toBe(0)
        const sofar = await handled()
        await waitFor(async () => (await handled()) > sofar + 1_000, {
          what: `effects of ${slices} slices`,
          timeout: 60_000,
        })
        expect(await running()).toBe(slices)
      }
      expect((await reslice(8)).stdout).toBe(`bank on ${topic}: has 8 slices already, nothing was changed\n`)
      expect([await waited(), await handledOf(paused)]).toEqual([stands, count])
      const shown = await project.ask(['status', '--json'])
      expect(JSON.parse(shown.stdout)[0].partitions[paused]).toMatchObject({ state: 'paused', reason: 'look at it' })

      await project.ask(['resume', '--group', 'bank'])
      writing.over = true
      await load
      await waitFor(async () => (await handled()) >= writing.produced, { what: 'every effect', timeout: 60_000 })
    } finally {
      writing.over = true
      await load
    }
    expect((await worker.stop()).code).toBe(0)
    const perPartition = writing.produced / partitions
    expect(await sql('select part from effects group by part having count(*) <> count(distinct log_offset)')).toEqual(
      [],
    )
    expect(
      await sql(
        `select part from effects group by part having count(*) <> ${perPartition} or max(log_offset) <> ${perPartition - 1}`,
      ),
    ).toEqual([])
    expect(
      await sql(
        'select part from (select part, log_offset, lag(log_offset) over (partition by part order by id) before from effects) e where log_offset < before',
      ),
    ).toEqual([])

    const { stdout } = await project.ask(['history', '--group', 'bank', '--json'])
    const changes = (JSON.parse(stdout) as { kind: string; by: string; why: string }[]).filter(
      ({ kind }) => kind === 'resliced',
    )
    expect(changes.map(({ why }) => why)).toEqual(['3 to 8 slices: 8 are better', '4 to 3 slices: 3 are better'])
    for (const { by } of changes) expect(by).toMatch(/^.+@.+$/)
  })

  it('needs a group that was started, a number, and somebody who says yes', async () => {
    const early = await reslice(3)
    expect(early.stderr).toContain(`no group 'bank' runs on stream '${topic}'`)
    refused(early, 1)
    const alone = await project.ask(['reslice', '--group', 'bank', '--slices', '3'])
    expect(alone.stderr).toContain(
      'tidemark reslice asks before it changes anything, and there is no terminal to ask: say --yes',
    )
    refused(alone, 2)
    const none = await project.ask(['reslice', '--group', 'bank', '--slices', '0', '--yes'])
    expect(none.stderr).toContain('give a whole number from 1 to 1000')
    refused(none, 2)
  })

  const values = (count: number) => Array.from({ length: count }, (_, i) => `v${i}`)
  const group = () => client.workflow.getHandle(groupWorkflowId('bank', topic))
  /** Each message has one effect, after all of them have had time to have two. */
  const once = async (count: number) => {
    await waitFor(async () => (await handled()) >= count, { what: 'every effect', timeout: 60_000 })
    const [row] = await sql<{ n: string }>('select count(distinct (part, log_offset)) n from effects')
    expect([Number(row!.n), await handled()]).toEqual([count, count])
  }

  it('goes through although the worker is killed in the middle', async () => {
    await project.write('tidemark.config.ts', configText(1_500))
    await produce(topic, values(1_200), partitions)
    const first = project.start(['start'])
    await waitFor(async () => (await handled()) > 0, { what: 'effects', timeout: 60_000 })
    const asked = project.start(['reslice', '--group', 'bank', '--slices', '3', '--yes'])
    const draining = async () =>
      (await group().fetchHistory()).events!.some(
        ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === 'ended',
      )
    await waitFor(draining, { what: 'the slices to be told', timeout: 30_000 })
    await first.kill()
    expect(asked.ended).toBeNull()
    project.start(['start'])
    const { code, stdout } = await waitFor(() => asked.ended, { what: 'the answer', timeout: 60_000 })
    expect(stdout).toMatch(/^GROUP +STREAM +PARTITIONS +BEFORE +SLICES +GENERATION\nbank +\S+ +12 +4 +3 +2\n$/)
    expect(code).toBe(0)
    await once(1_200)
    expect(await running()).toBe(3)
  })

  it('changes what a group that a person has stopped begins with', async () => {
    await produce(topic, values(120), partitions)
    const worker = project.start(['start'])
    await waitFor(async () => (await handled()) === 120, { what: 'effects', timeout: 60_000 })
    await group().cancel()
    await waitFor(async () => (await group().describe()).status.name === 'CANCELLED', {
      what: 'the end',
      timeout: 30_000,
    })
    expect(JSON.parse((await reslice(2, '--json')).stdout)).toMatchObject({ before: 4, slices: 2, generation: 2 })
    expect(await running()).toBe(0)
    await project.ask(['resume', '--group', 'bank'])
    await produce(topic, values(120), partitions)
    await once(240)
    expect(await running()).toBe(2)
    await worker.stop()
  })
})
