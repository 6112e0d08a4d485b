import { afterAll, beforeAll, expect, it } from 'vitest'
import { viewGroups } from '../../src/client/view.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { kafka, text } from '../../src/entry/kafka.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { transactional } from '../../src/handlers/handler.js'
import type { Source } from '../../src/ports/index.js'
import { type Running, rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { manage } from '../support/rabbitmq-ground.js'
import { createTopic, send } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'rabbitmq', 'postgres', 'temporal'], 'streams with names as long as their logs allow', () => {
  let database: FreshDatabase
  let running: Running | undefined

  beforeAll(async () => {
    database = await freshDatabase()
  })
  afterAll(async () => {
    await running?.stop()
    await database.drop()
  })

  it('are consumed and shown, also with what separates the parts of IDs', async () => {
    const { connectionString } = database
    const { managementUrl } = part('rabbitmq')
    const topic = unique('orders').padEnd(249, '.x_-')
    const events = `${unique('événements')}/日本 % %2F 😀 `.padEnd(246, '語')
    const queue = `${unique('eu/orders 1.2')}/${'é'.repeat(90)}`.padEnd(160, '/x')
    await createTopic(topic, 1)
    await send(topic, 0, ['from Kafka'])
    await createStream(connectionString, { stream: events, partitions: 1 })
    await appendEvents(connectionString, events, [{ key: 'a', value: 'from Postgres', type: 'x' }])
    // The client of these tests cuts names off that are more bytes than characters.
    const queuePath = `queues/%2F/${encodeURIComponent(queue)}`
    await manage(managementUrl, 'PUT', queuePath, { durable: true, arguments: { 'x-queue-type': 'stream' } })
    const message = { routing_key: queue, payload: 'from RabbitMQ', payload_encoding: 'string', properties: {} }
    await manage(managementUrl, 'POST', 'exchanges/%2F/amq.default/publish', message)
    await rowsOf(connectionString, 'create table seen (value text, stream text, id text)')

    const handler = transactional<string>(async (messages, { tx }) => {
      for (const { value, stream, idempotencyKey } of messages)
        await tx.query('insert into seen values ($1, $2, $3)', [value, stream, idempotencyKey])
    })
    const group = `team/billing ${'g'.repeat(180)}`
    const sources: Source<string>[] = [
      kafka<string>({ brokers: part('kafka').brokers, topic, value: text() }),
      postgresStream<string>({ connectionString, stream: events }),
      rabbitmq<string>({ url: part('rabbitmq').url, stream: queue, value: text() }),
    ]
    const { address, namespace } = part('temporal')
    const config = defineConfig({
      store: postgresStore({ connectionString }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: sources.map((source) => consumer({ group, source, handler })),
    })
    running = await run(config)

    const seen = () =>
      rowsOf<{ value: string; stream: string; id: string }>(connectionString, 'select * from seen order by value')
    const rows = await waitFor(async () => (await seen()).length === 3 && (await seen()), {
      what: 'three messages',
      timeout: 30_000,
    })
    expect(rows.map(({ value, stream }) => [value, stream])).toEqual([
      ['from Kafka', topic],
      ['from Postgres', events],
      ['from RabbitMQ', queue],
    ])
    for (const { id } of rows) expect(id).toMatch(/^team%2Fbilling g+\/[^/]+\/0\/\d+\/0$/)
    const views = await viewGroups(config)
    expect(views.map(({ stream, complete, notes }) => ({ stream, complete, notes }))).toEqual(
      [topic, events, queue].map((stream) => ({ stream, complete: true, notes: [] })),
    )
    expect(views.map(({ partitions }) => partitions.length)).toEqual([1, 1, 1])
  }, 60_000)
})
