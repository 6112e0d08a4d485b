import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Stack, startStack } from '../../src/local/stack.js'
import { type CliProcess, Project } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { publish, RabbitmqGround, within } from '../support/rabbitmq-ground.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** The long form: RABBITMQ_KILLS=15 npx vitest run --project integration test/integration/rabbitmq-kills.test.ts */
const kills = Number(process.env.RABBITMQ_KILLS ?? 2)
const messages = Number(process.env.RABBITMQ_MESSAGES ?? (kills > 5 ? 200_000 : 30_000))
const atOnce = kills > 5 ? 2 : 1
const patience = 60_000 + kills * 20_000

describeWith(['temporal', 'postgres', 'rabbitmq'], 'a super stream worked by processes that are killed', () => {
  const partitions = 3
  const superStream = unique('orders')
  let stack: Stack
  let database: FreshDatabase
  let project: Project
  const workers: CliProcess[] = []

  beforeAll(async () => {
    ;[stack, database] = await Promise.all([startStack({ rabbitmq: { own: true } }), freshDatabase()])
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      RABBITMQ_URL: stack.rabbitmq.url,
      LOG_LEVEL: 'warn',
    })
    // No unique key: what is done twice must show, not be refused.
    await query('create table effects (n bigserial, partition int not null, off bigint not null, id int not null)')
    await project.write(
      'tidemark.config.ts',
      `import { consumer, defineConfig, transactional } from 'tidemark'
       import { postgresStore } from 'tidemark/postgres'
       import { rabbitmq } from 'tidemark/rabbitmq'
       const url = process.env.RABBITMQ_URL!
       export default defineConfig({
         store: postgresStore({ connectionString: process.env.DATABASE_URL }),
         taskQueue: '${unique('queue')}',
         consumers: [consumer({
           group: 'billing',
           source: rabbitmq<{ id: number }>({ url, superStream: '${superStream}', heartbeat: '2s' }),
           heartbeatTimeout: '1s',
           batch: { maxMessages: 5_000 },
           chunk: { maxMessages: 250 },
           handler: transactional<{ id: number }>(async (messages, { tx, partition }) => {
             await tx.query(
               'insert into effects (partition, off, id) select $1, * from unnest($2::bigint[], $3::int[])',
               [partition, messages.map(({ offset }) => String(offset)), messages.map(({ value }) => value.id)])
             await tx.query('select pg_sleep(0.02)')
           }),
         })],
       })`,
    )
  })
  afterAll(async () => {
    await project?.close()
    await database?.drop()
    await stack?.stop()
  })

  const query = <T extends object>(text: string) => rowsOf<T>(database.connectionString, text)
  const effects = async () => (await query<{ n: number }>('select count(*)::int n from effects'))[0]!.n
  const committed = async () => {
    const [row] = await query<{ n: string }>('select coalesce(sum("offset" + 1), 0) n from tidemark.consumer_offsets')
    return Number(row!.n)
  }
  const start = () => workers.push(project.start(['start']))
  /** Waits for what workers do, but not on when one has ended by itself. */
  const worked = async (what: string, condition: () => Promise<boolean>) => {
    const dead = () => workers.find(({ ended }) => ended)
    await waitFor(async () => dead() !== undefined || (await condition()), { what, timeout: patience })
    if (dead()) throw new Error(`a worker ended by itself: ${dead()!.stderr}`)
  }

  test(
    'has each effect once and in order, through kill -9 of workers and a restart of the broker in the middle',
    async () => {
      const ground = await RabbitmqGround.on(stack.rabbitmq.url)
      await within(
        20_000,
        ground.client.createSuperStream({ streamName: superStream, arguments: {} }, undefined, partitions),
        'the super stream',
      )
      for (let partition = 0; partition < partitions; partition++) {
        const ids = Array.from({ length: messages }, (_, id) => id).filter((id) => id % partitions === partition)
        const bodies = ids.map((id) => ({ content: Buffer.from(`{"id":${id},"pad":"${'x'.repeat(100)}"}`) }))
        await publish(ground.client, `${superStream}-${partition}`, bodies)
      }
      await ground.close()

      const started = performance.now()
      let restarting: Promise<void> = Promise.resolve()
      for (let i = 0; i < atOnce; i++) start()
      for (let done = 0; done < kills; done++) {
        const before = await effects()
        await worked('an effect', async () => (await effects()) > before)
        await sleep(Math.random() * 300)
        if (done === Math.floor(kills / 2)) restarting = stack.rabbitmq.restart()
        const [victim] = workers.splice(Math.floor(Math.random() * workers.length), 1)
        await victim!.kill()
        start()
        expect(await effects(), `effects at kill ${done + 1}`).toBeLessThan(messages)
      }
      await restarting
      await worked('the drain to end', async () => (await committed()) >= messages)
      const seconds = (performance.now() - started) / 1_000
      await Promise.all(workers.map((worker) => worker.stop()))
      const [verdict] = await query<{ effects: number; distinct: number; disordered: number }>(
        `select count(*)::int effects, count(distinct id)::int as distinct,
           (select count(*)::int from (select off <= lag(off) over (partition by partition order by n) as back from effects) o
            where back) disordered from effects`,
      )
      expect(verdict).toEqual({ effects: messages, distinct: messages, disordered: 0 })
      console.log(
        `${kills} kills and a restart of the broker: ${messages} effects, each once, in ${seconds.toFixed(0)} s`,
      )
    },
    patience * 2,
  )
})
