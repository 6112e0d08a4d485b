import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { text } from '../../src/entry/kafka.js'
import type { SourceClient } from '../../src/ports/index.js'
import { type CliProcess, Project } from '../support/cli.js'
import { produce, rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { KafkaGround } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { readAll, readCommitted } from '../support/read-all.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** The long form: PRODUCE_KILLS=20 npx vitest run --project integration test/integration/produce-kills.test.ts */
const kills = Number(process.env.PRODUCE_KILLS ?? 4)
const messages = Number(process.env.PRODUCE_MESSAGES ?? (kills > 5 ? 200_000 : 50_000))
const patience = 60_000 + kills * 20_000

describeWith(['kafka', 'postgres', 'temporal'], 'a producing worker that is killed again and again', () => {
  const partitions = 4
  let database: FreshDatabase
  let ground: KafkaGround
  let project: Project
  let topic: string
  let out: string

  beforeEach(async () => {
    database = await freshDatabase()
    ground = await KafkaGround.on(part('kafka').brokers)
    topic = await ground.topic({}, partitions)
    out = await ground.topic({}, partitions)
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(),
      LOG_LEVEL: 'warn',
    })
  })
  afterEach(async () => {
    await project.close()
    await ground.close()
    await database.drop()
  })

  const configOf = (mode: string) => `
    import { consumer, defineConfig } from 'tidemark'
    import { kafka, kafkaOutput, text } from 'tidemark/kafka'
    import { postgresStore } from 'tidemark/postgres'

    const brokers = process.env.KAFKA_BROKERS!.split(',')
    export default defineConfig({
      store: postgresStore({ connectionString: process.env.DATABASE_URL }),
      taskQueue: '${unique('queue')}',
      consumers: [consumer({
        group: 'enrich',
        source: kafka<string>({ brokers, topic: '${topic}', value: text() }),
        output: kafkaOutput({ brokers }),
        ${mode}
        heartbeatTimeout: '1s',
        batch: { maxMessages: 4_000 },
        chunk: { maxMessages: 250 },
        handler: async (messages, context) => {
          for (const message of messages)
            context.produce('${out}', { key: message.key, value: message.value, source: message })
          await new Promise((resolve) => setTimeout(resolve, 20))
        },
      })],
    })`

  const progress = () =>
    rowsOf<{ partition: number; position: string }>(
      database.connectionString,
      'select partition, position from tidemark.consumer_progress where stream = $1',
      [topic],
    )
  const committed = async () => {
    const [row] = await rowsOf<{ n: string }>(
      database.connectionString,
      'select coalesce(sum("offset" + 1), 0) n from tidemark.consumer_offsets where stream = $1',
      [topic],
    )
    return Number(row!.n)
  }
  const written = async (client: SourceClient) => {
    let sum = 0n
    for (const { head } of (await client.bounds(await client.partitions())).values()) sum += head
    return sum
  }

  /** Drains the topic; `afterKill` looks at what a dead worker has left. Returns each output's value. */
  async function drain(mode: string, afterKill: () => Promise<void>): Promise<string[]> {
    await project.write('tidemark.config.ts', configOf(mode))
    await produce(
      topic,
      Array.from({ length: messages }, (_, i) => `v${i}`),
      partitions,
    )
    const client = await ground.connect({ topic: out, value: text() })
    let worker: CliProcess = project.start(['start'])
    let done = 0
    for (; done < kills; done++) {
      const before = await written(client)
      await waitFor(async () => (await written(client)) > before || (await committed()) === messages || worker.ended, {
        what: 'the worker to write',
        timeout: patience,
      })
      if (worker.ended) throw new Error(`the worker ended: ${worker.stderr}`)
      if ((await committed()) === messages) break
      await sleep(Math.random() * 300)
      await worker.kill()
      await afterKill()
      worker = project.start(['start'])
    }
    expect(done, 'kills before the drain was over').toBe(kills)
    await waitFor(async () => (await committed()) === messages, { what: 'the drain to end', timeout: patience })
    await worker.stop()
    return (await readCommitted(client, out, messages)).map(({ value }) => value!)
  }

  it(
    'loses no output, and progress is never ahead of what is written',
    async () => {
      let looked = 0
      const values = await drain('', async () => {
        const positions = await progress()
        const seen = new Set(
          (await readAll(await ground.connect({ topic: out, value: text() }), out)).map(({ headers }) =>
            headers.get('tidemark-key'),
          ),
        )
        for (const { partition, position } of positions)
          for (let offset = 0; offset < Number(position); offset++, looked++)
            if (!seen.has(`enrich/${topic}/${partition}/${offset}/0/0`))
              throw new Error(`progress of ${partition} is ${position}, but the output of ${offset} is not there`)
      })
      expect(new Set(values).size).toBe(messages)
      expect(looked).toBeGreaterThan(0)
      console.log(`${kills} kills: 0 of ${messages} lost, ${values.length - messages} written twice`)
    },
    patience * 2,
  )

  it(
    "with transactional: 'kafka', readers of committed data see each output exactly once",
    async () => {
      const values = await drain("transactional: 'kafka',", async () => {})
      expect(new Set(values).size).toBe(messages)
      expect(values).toHaveLength(messages)
      const everything = await ground.connect({ topic: out, value: text(), readUncommitted: true })
      const aborted = (await readAll(everything, out)).length - messages
      console.log(`${kills} kills: ${messages} outputs, each once; ${aborted} in transactions that were aborted`)
    },
    patience * 2,
  )
})
