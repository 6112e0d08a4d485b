import { afterEach, beforeEach, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { kafka, kafkaOutput, text } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { produce, type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { KafkaGround } from '../support/kafka-ground.js'
import { makeTopics } from '../support/make-topics.js'
import { describeWith, part } from '../support/parts.js'
import { readCommitted } from '../support/read-all.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres', 'temporal'], 'a handler that produces', () => {
  const partitions = 2
  const running: Running[] = []
  let database: FreshDatabase
  let ground: KafkaGround
  let topic: string
  let out: string

  beforeEach(async () => {
    database = await freshDatabase()
    ground = await KafkaGround.on(part('kafka').brokers)
    topic = await ground.topic({}, partitions)
    out = await ground.topic({}, partitions)
    await rowsOf(database.connectionString, 'create table effects (value text)')
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await ground.close()
    await database.drop()
  })

  async function start(change: Partial<ConsumerOptions<string>> & Pick<ConsumerOptions<string>, 'handler'>) {
    const { brokers } = part('kafka')
    const { address, namespace } = part('temporal')
    const config = defineConfig({
      store: postgresStore({ connectionString: database.connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<string>({
          group: 'enrich',
          source: kafka({ brokers, topic, value: text() }),
          output: kafkaOutput({ brokers }),
          heartbeatTimeout: '2s',
          batch: { maxDuration: '5s', idleGap: '300ms' },
          retry: { initialInterval: '200ms', maximumInterval: '500ms' },
          ...change,
        }),
      ],
    })
    const one = await run(config)
    running.push(one)
    return one
  }
  const committed = (total: number) =>
    waitFor(
      async () => {
        const [row] = await rowsOf<{ n: string }>(
          database.connectionString,
          'select coalesce(sum("offset" + 1), 0) n from tidemark.consumer_offsets',
        )
        return Number(row!.n) === total
      },
      { what: `${total} messages to be committed`, timeout: 60_000 },
    )
  const outputs = async (count: number) =>
    readCommitted(await ground.connect({ topic: out, value: text() }), out, count)
  const values = (count: number) => Array.from({ length: count }, (_, i) => `v${i}`)
  const failure = (running: Running, text: string) =>
    waitFor(() => running.log.lines.find((line) => line.includes(text)), {
      what: `'${text}' in the log`,
      timeout: 30_000,
    })

  it.each([undefined, 'kafka'] as const)(
    'has written every output when the offsets are committed (transactional: %s)',
    async (mode) => {
      await produce(topic, values(2_000), partitions)
      await start({
        ...(mode && { transactional: mode }),
        chunk: { maxMessages: 300 },
        handler: (messages, context) => {
          for (const message of messages)
            context.produce(out, {
              key: message.key,
              value: { upper: message.value.toUpperCase() },
              headers: { from: String(message.offset) },
              source: message,
            })
        },
      })
      await committed(2_000)
      const all = await outputs(2_000)
      expect(all.map(({ value }) => JSON.parse(value!).upper).sort()).toEqual(
        values(2_000)
          .map((value) => value.toUpperCase())
          .sort(),
      )
      expect(new Set(all.map(({ headers }) => headers.get('tidemark-key'))).size).toBe(2_000)
      const one = all.find(({ key }) => key === 'k1001')!
      expect(one.headers.get('tidemark-key')).toBe(`enrich/${topic}/1/500/0/0`)
      expect(one.headers.get('from')).toBe('500')
    },
  )

  it.each([undefined, 'kafka'] as const)(
    'fails its chunk while the output topic does not exist, says so, and goes on when it does (transactional: %s)',
    async (mode) => {
      const missing = unique('missing')
      await produce(topic, ['SENTINEL-1', 'SENTINEL-2'], partitions)
      const one = await start({
        ...(mode && { transactional: mode }),
        handler: (messages, context) => {
          for (const { value } of messages) context.produce(missing, { key: value, value })
        },
      })
      const line = await failure(one, missing)
      expect(line).toContain(`could not write to output topic '${missing}'`)
      expect(line).toContain(`${topic}[`)
      expect(one.log.lines.join()).not.toContain('SENTINEL')
      const client = await temporalClient()
      const { partitions: seen } = (await groupStatus(client, { group: 'enrich', stream: topic }))!
      expect(JSON.stringify(seen)).not.toContain('"blocked":"')
      await client.close()
      const rows = await rowsOf<{ n: string }>(
        database.connectionString,
        'select coalesce(sum("offset" + 1), 0) n from tidemark.consumer_offsets',
      )
      expect(Number(rows[0]!.n)).toBe(0)
      await makeTopics(ground.admin, [{ topic: missing }])
      await committed(2)
      const all = await readCommitted(await ground.connect({ topic: missing, value: text() }), missing, 2)
      expect(all.map(({ value }) => value).sort()).toEqual(['SENTINEL-1', 'SENTINEL-2'])
    },
  )

  it('has sent nothing when it throws', async () => {
    await produce(topic, ['a'], 1)
    let tries = 0
    await start({
      handler: ([message], context) => {
        context.produce(out, { value: `${message!.value} ${++tries}` })
        if (tries < 3) throw new Error('on purpose')
      },
    })
    await committed(1)
    expect((await outputs(1)).map(({ value }) => value)).toEqual(['a 3'])
  })

  it('with a database transaction: commits only when its outputs are acknowledged', async () => {
    const missing = unique('missing')
    await produce(topic, ['a'], 1)
    const one = await start({
      handler: transactional<string>(async ([message], context) => {
        await context.tx.query('insert into effects values ($1)', [message!.value])
        context.produce(out, { value: message!.value })
        context.produce(missing, { value: message!.value })
      }),
    })
    await failure(one, missing)
    expect(await rowsOf(database.connectionString, 'select * from effects')).toEqual([])
    await makeTopics(ground.admin, [{ topic: missing }])
    await committed(1)
    expect(await rowsOf(database.connectionString, 'select * from effects')).toEqual([{ value: 'a' }])
    // Outputs are at least once, under the same name each time.
    expect(new Set((await outputs(1)).map(({ headers }) => headers.get('tidemark-key'))).size).toBe(1)
  })

  it('can wait for what it has produced, and is told when too much waits', async () => {
    await produce(topic, ['a'], 1)
    const seen: unknown[] = []
    await start({
      output: kafkaOutput({ brokers: part('kafka').brokers, maxBuffered: '64KB' }),
      handler: async (_, context) => {
        const big = 'x'.repeat(40_000)
        context.produce(out, { value: big })
        try {
          context.produce(out, { value: big })
        } catch (error) {
          seen.push(error)
        }
        await context.flush()
        seen.push((await outputs(1)).length)
        context.produce(out, { value: big })
      },
    })
    await committed(1)
    expect(seen[0]).toMatchObject({ message: expect.stringContaining('await flush()') })
    expect(seen[1]).toBe(1)
    expect(await outputs(2)).toHaveLength(2)
  })
})
