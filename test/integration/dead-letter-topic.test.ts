import { afterEach, beforeEach, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { deadLetterTopic } from '../../src/config/failures.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { json, kafka, kafkaOutput } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { KafkaGround } from '../support/kafka-ground.js'
import { makeTopics } from '../support/make-topics.js'
import { describeWith, part } from '../support/parts.js'
import { readCommitted } from '../support/read-all.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

interface Order {
  readonly n: number
}

const prefix = 'tidemark-dead-letter-'
/** Bytes that are no UTF-8. */
const raw = Buffer.from([0xff, 0x00, 0xfe, 0x80])

describeWith(['kafka', 'postgres', 'temporal'], 'a topic of dead letters', () => {
  let database: FreshDatabase
  let ground: KafkaGround
  let running: Running | undefined
  let topic: string
  let letters: string
  let out: string

  beforeEach(async () => {
    database = await freshDatabase()
    ground = await KafkaGround.on(part('kafka').brokers)
    topic = await ground.topic()
    out = await ground.topic()
    letters = await ground.topic()
    await rowsOf(database.connectionString, 'create table effects (n int)')
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(running?.log.lines.join('\n'))
    await running?.stop().catch(() => {})
    running = undefined
    await ground.close()
    await database.drop()
  })

  async function consume(options: Partial<ConsumerOptions<Order>>): Promise<void> {
    const { brokers } = part('kafka')
    const { address, namespace } = part('temporal')
    running = await run(
      defineConfig({
        store: postgresStore({ connectionString: database.connectionString, poolSize: 5 }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer<Order>({
            group: 'billing',
            source: kafka<Order>({ brokers, topic, value: json() }),
            slices: 1,
            heartbeatTimeout: '2s',
            batch: { maxDuration: '2s', idleGap: '300ms' },
            retry: { attempts: 2, initialInterval: '100ms', maximumInterval: '300ms' },
            afterLastTry: deadLetterTopic({ topic: letters, output: kafkaOutput({ brokers }) }),
            handler: transactional<Order>(async (messages, { tx }) => {
              refuse(messages.map(({ value }) => value))
              await tx.query('insert into effects select unnest($1::int[])', [messages.map(({ value: { n } }) => n)])
            }),
            ...options,
          }),
        ],
      }),
    )
  }
  const refuse = (orders: readonly Order[]) => {
    const bad = orders.find(({ n }) => n < 0)
    if (bad) throw Object.assign(new Error('no such customer'), { code: 'E_CUSTOMER' })
  }
  const order = (n: number, more: object = {}) => ({ key: `k${n}`, value: JSON.stringify({ n }), ...more })
  const send = async (...messages: readonly object[]) => {
    const producer = await ground.producer()
    await producer.send({ topic, messages: messages as never })
  }
  const effects = async () =>
    (await rowsOf<{ n: number }>(database.connectionString, 'select n from effects order by n')).map(({ n }) => n)
  const handled = (...all: number[]) =>
    waitFor(async () => (await effects()).join() === all.join(), { what: `effects of ${all}`, timeout: 30_000 })
  const read = async (count: number) =>
    readCommitted(await ground.connect<Buffer>({ topic: letters, value: (bytes) => bytes! }), letters, count)
  const lag = async () => {
    const client = await temporalClient()
    try {
      return await groupStatus(client, { group: 'billing', stream: topic })
    } finally {
      await client.close()
    }
  }

  it('gets the message as it was, with headers that say why, and undecodable ones with their bytes', async () => {
    await send(
      order(1),
      // It has been a dead letter before: what was said of that is replaced.
      order(-2, { key: raw, headers: { trace: ['a', 'b'], [`${prefix}error`]: 'long ago', [`${prefix}tries`]: '9' } }),
      { key: 'plain', value: raw, headers: { binary: raw } },
      { key: 'none', value: null },
      order(5),
    )
    await consume({})
    await handled(1, 5)
    const found = await read(3)
    const [failed, undecodable, empty] = found
    expect(failed!.keyBytes).toEqual(raw)
    expect(failed!.value.toString()).toBe('{"n":-2}')
    expect(failed!.headers.getAll('trace')).toEqual(['a', 'b'])
    expect(failed!.headers.getAll(`${prefix}error`)).toEqual([
      `the handler of group billing failed at ${topic}[0] offset 1: Error (code E_CUSTOMER): no such customer`,
    ])
    const said = (one: (typeof found)[number], name: string) => one.headers.get(`${prefix}${name}`)
    expect(
      ['group', 'stream', 'partition', 'offset', 'class', 'code', 'tries'].map((name) => said(failed!, name)),
    ).toEqual(['billing', topic, '0', '1', 'poison', 'E_CUSTOMER', '2'])
    expect(Date.parse(said(failed!, 'last-failed-at')!)).toBeGreaterThanOrEqual(
      Date.parse(said(failed!, 'first-failed-at')!),
    )
    expect(undecodable!.value).toEqual(raw)
    expect(undecodable!.headers.getBytes('binary')).toEqual(raw)
    expect([said(undecodable!, 'class'), said(undecodable!, 'code'), said(undecodable!, 'offset')]).toEqual([
      'undecodable',
      'UNDECODABLE',
      '2',
    ])
    expect([empty!.value, said(empty!, 'offset')]).toEqual([null, '3'])
  })

  it('that is not there holds its partition up, says so, and gets each letter once it is', async () => {
    const later = unique('letters')
    await send(order(1), order(-2), order(3))
    const { brokers } = part('kafka')
    await consume({ afterLastTry: deadLetterTopic({ topic: later, output: kafkaOutput({ brokers }) }) })
    await handled(1)
    await waitFor(
      async () => (await lag()).partitions.find(({ reason }) => reason?.includes(`output topic '${later}'`)),
      { what: 'status to name the topic', timeout: 30_000 },
    )
    expect(await effects()).toEqual([1])
    await makeTopics(ground.admin, [{ topic: later, numPartitions: 1 }])
    await handled(1, 3)
    letters = later
    expect((await read(1)).map(({ value }) => value.toString())).toEqual(['{"n":-2}'])
  })

  it('is written to in the transaction of outputs and progress', async () => {
    const { brokers } = part('kafka')
    await consume({
      output: kafkaOutput({ brokers }),
      transactional: 'kafka',
      afterLastTry: deadLetterTopic({ topic: letters }),
      handler: (messages, { produce }) => {
        for (const message of messages) produce(out, { value: `${message.value.n}`, source: message })
        refuse(messages.map(({ value }) => value))
      },
    })
    await send(...Array.from({ length: 40 }, (_, n) => order(n % 10 === 7 ? -n : n)))
    const good = Array.from({ length: 40 }, (_, n) => n).filter((n) => n % 10 !== 7)
    const outputs = await ground.connect({ topic: out, value: (bytes) => Number(bytes) })
    expect((await readCommitted(outputs, out, good.length)).map(({ value }) => value)).toEqual(good)
    expect((await read(4)).map(({ value }) => JSON.parse(value.toString()).n)).toEqual([-7, -17, -27, -37])
    await waitFor(async () => (await lag()).partitions[0]?.position === '40', { what: 'position 40', timeout: 20_000 })
  })
})
