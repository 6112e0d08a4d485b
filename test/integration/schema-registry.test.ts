import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fromRegistry } from '../../examples/schema-registry/from-registry.js'
import { type Format, formats, orderEncoders } from '../../examples/schema-registry/orders.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { kafka } from '../../src/kafka/source/source.js'
import { memoryStore } from '../../src/memory/store/store.js'
import { type Running, run, temporalClient } from '../support/consume.js'
import { FakeRegistry } from '../support/fake-registry.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic, kafkaClient } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

interface Order {
  readonly id: string
  readonly amount: number
}

describeWith(['kafka', 'temporal'], 'values whose schemas are in a registry', () => {
  let client: Awaited<ReturnType<typeof temporalClient>>
  let registry: FakeRegistry
  let topic: string
  let running: Running | undefined
  const handled: Order[] = []

  beforeEach(async () => {
    client = await temporalClient()
    registry = await FakeRegistry.start()
    topic = unique('orders')
    handled.length = 0
    await createTopic(topic, 1)
  })
  afterEach(async () => {
    await running?.stop()
    await registry.down()
    await client.close()
  })

  async function send(values: readonly Buffer[]): Promise<void> {
    const producer = kafkaClient().producer()
    await producer.connect()
    await producer.send({ topic, messages: values.map((value) => ({ value })) })
    await producer.disconnect()
  }

  async function start(): Promise<void> {
    const { address, namespace } = part('temporal')
    const source = kafka({ brokers: part('kafka').brokers, topic, value: fromRegistry<Order>(registry.url) })
    running = await run(
      defineConfig({
        store: memoryStore(),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer({
            group: 'billing',
            source,
            handler: async (orders) =>
              void handled.push(...orders.map(({ value: { id, amount } }) => ({ id, amount }))),
            retry: { initialInterval: '100ms', maximumInterval: '500ms' },
          }),
        ],
      }),
    )
  }

  const partition = (state: string) =>
    waitFor(
      async () => {
        const [first] = (await groupStatus(client, { group: 'billing', stream: topic })).partitions
        return first?.state === state && first
      },
      { what: `the partition to be ${state}` },
    )
  const orders = (count: number) =>
    Array.from({ length: count }, (_, n): [Format, Order] => [formats[n % 3]!, { id: `o-${n}`, amount: n }])

  it('are handled in order, in all formats, and wait for a registry that is away', async () => {
    const encode = await orderEncoders(new SchemaRegistry({ host: registry.url }))
    const sent = orders(300)
    await send(await Promise.all(sent.map(([format, order]) => encode(format, order))))
    await registry.down()
    await start()
    const { reason } = await partition('retrying')
    expect(reason).toContain(`the decoder (schemaRegistry) failed at ${topic}[0] offset 0, group billing: `)
    expect(handled).toEqual([])
    await registry.up()
    await waitFor(() => handled.length >= sent.length, { what: 'all orders to be handled' })
    expect(handled).toEqual(sent.map(([, order]) => order))
  })

  it('stop their partition in front of one whose schema the registry does not know', async () => {
    const encode = await orderEncoders(new SchemaRegistry({ host: registry.url }))
    const sent = orders(7)
    const values = await Promise.all(sent.map(([format, order]) => encode(format, order)))
    const unknown = Buffer.from(values[5]!)
    unknown.writeInt32BE(99, 1)
    await send([...values.slice(0, 5), unknown, ...values.slice(5)])
    await start()
    const { reason } = await partition('blocked')
    expect(reason).toContain(`${topic}[0] offset 5: the value (`)
    expect(reason).toContain(
      "can't be decoded as schemaRegistry: Undecodable: the registry has no schema 99. Unless afterLastTry says otherwise, group billing stops",
    )
    expect(handled).toEqual(sent.slice(0, 5).map(([, order]) => order))
  })
})
