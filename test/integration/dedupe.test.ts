import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { transactional } from '../../src/handlers/handler.js'
import { kafka } from '../../src/kafka/source/source.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import { type Running, rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { createTopic, kafkaClient } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres', 'temporal'], 'a consumer with dedupe', () => {
  let database: FreshDatabase
  let topic: string
  let taskQueue: string
  const group = 'billing'
  const running: Running[] = []

  beforeEach(async () => {
    database = await freshDatabase()
    topic = unique('orders')
    taskQueue = unique('queue')
    await createTopic(topic, 2)
    await rowsOf(database.connectionString, 'create table effects (value text, partition int, replay int)')
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await database.drop()
  })

  const store = () => postgresStore({ connectionString: database.connectionString, poolSize: 5 })

  /** Messages are `key` or `key:whatever`; those that begin with `-` have no key. */
  async function start(change: Partial<ConsumerOptions<string>> = {}): Promise<Running> {
    const { address, namespace } = part('temporal')
    const config = defineConfig({
      store: store(),
      temporal: { address, namespace },
      taskQueue,
      consumers: [
        consumer<string>({
          group,
          source: kafka({ brokers: part('kafka').brokers, topic, value: text() }),
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          retry: { initialInterval: '100ms' },
          dedupe: { key: ({ value }) => (value.startsWith('-') ? null : value.split(':')[0]!) },
          handler: transactional(async (messages, { tx, partition, replay }) => {
            await tx.query('insert into effects select m, $2, $3 from unnest($1::text[]) m', [
              messages.map(({ value }) => value),
              partition,
              replay,
            ])
          }),
          ...change,
        }),
      ],
    })
    const one = await run(config)
    running.push(one)
    return one
  }
  async function send(partition: number, ...values: string[]): Promise<void> {
    const producer = kafkaClient().producer()
    await producer.connect()
    await producer.send({ topic, acks: -1, messages: values.map((value) => ({ partition, value })) })
    await producer.disconnect()
  }
  const effects = async (replay = 0) =>
    (
      await rowsOf<{ value: string }>(
        database.connectionString,
        'select value from effects where replay = $1 order by value',
        [replay],
      )
    ).map(({ value }) => value)
  const committed = (...positions: number[]) =>
    waitFor(
      async () => {
        const rows = await rowsOf<{ position: string }>(
          database.connectionString,
          'select position from tidemark.consumer_offsets order by partition',
        )
        return rows.map(({ position }) => Number(position)).join() === positions.join()
      },
      { what: `positions ${positions} to be committed`, timeout: 30_000 },
    )

  it('handles a key once, in whatever chunk or partition it comes again, and commits past all of them', async () => {
    await send(0, 'a', 'b', 'a:again', '-', '-')
    await start()
    await committed(5, 0)
    await send(1, 'b:elsewhere', 'a:elsewhere')
    await committed(5, 2)
    await send(1, 'c', 'b:once more')
    await committed(5, 4)
    expect(await effects()).toEqual(['-', '-', 'a', 'b', 'c'])
  })

  it('leaves out no message whose key is bytes that no other has', async () => {
    const bytes = (number: number) => {
      const long = Buffer.alloc(8)
      long.writeBigInt64BE(BigInt(number))
      return long
    }
    const producer = kafkaClient().producer()
    await producer.connect()
    const numbers = Array.from({ length: 256 }, (_, number) => number)
    const messages = numbers.map((number) => ({ partition: 0, key: bytes(number), value: `${number}` }))
    await producer.send({ topic, acks: -1, messages: [...messages, ...messages] })
    await producer.disconnect()
    await start({ dedupe: { key: ({ key }) => key } })
    await committed(512, 0)
    expect((await effects()).map(Number).sort((a, b) => a - b)).toEqual(numbers)
  })

  it('forgets a key whose handler failed, and hands the message over again', async () => {
    await send(0, 'a', 'b', 'a:again')
    const seen: string[][] = []
    const handler = transactional<string>(async (messages, { tx }) => {
      seen.push(messages.map(({ value }) => value))
      if (seen.length === 1) throw new Error('not yet')
      await tx.query('insert into effects values ($1, 0, 0)', [messages.length])
    })
    await start({ handler })
    await committed(3, 0)
    expect(seen).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  it('handles a partition again after its reset, and no other', async () => {
    await send(0, 'a', 'b', 'a:again')
    const first = await start()
    await committed(3, 0)
    await send(1, 'b:elsewhere', 'c')
    await committed(3, 2)
    await first.stop()
    const offsets = await store().connect({ log: silentLog(), signal: new AbortController().signal })
    const key = { group, stream: topic }
    await offsets.reset({ ...key, partition: 0 }, { kind: 'reset', to: 0n, by: 'a test', why: 'to see' })
    await offsets.close()
    await send(0, 'c:late', 'd')
    await start()
    await committed(5, 2)
    // Of replay 0 there may be more: what came before the owner noticed the reset.
    expect(await effects(1)).toEqual(['a', 'b', 'd'])
  })

  it('a key function that throws stops nothing but its own partition, and says where', async () => {
    await send(0, 'a', 'SENTINEL-1')
    await send(1, 'b')
    const key = ({ value }: { value: string }) => {
      if (value.startsWith('SENTINEL')) throw new Error(`no key in ${value}`)
      return value
    }
    const { log } = await start({ dedupe: { key } })
    const said = `dedupe of group billing failed at ${topic}[0] offset 1: its key function threw: no key in SENTINEL-1`
    await waitFor(() => log.lines.some((line) => line.includes(said)), { what: said, timeout: 30_000 })
    await waitFor(async () => (await effects()).includes('b'), { what: 'the other partition', timeout: 30_000 })
    expect(await effects()).toEqual(['b'])
  })
})
