import amqp from 'amqplib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bytes, rabbitmq } from '../../src/entry/rabbitmq.js'
import type { Message } from '../../src/ports/index.js'
import { describeWith, part } from '../support/parts.js'
import { RabbitmqGround, take, within } from '../support/rabbitmq-ground.js'

/** Half the world still publishes to streams as if they were queues: the broker turns AMQP 0.9.1 into 1.0 in the log. */
describeWith(['rabbitmq'], 'messages published to a stream over AMQP 0.9.1', () => {
  let ground: RabbitmqGround
  let connection: amqp.ChannelModel
  let channel: amqp.ConfirmChannel
  beforeAll(async () => {
    const { amqpUrl } = part('rabbitmq')
    if (amqpUrl === null) throw new Error('RABBITMQ_AMQP_URL is needed beside RABBITMQ_URL')
    ground = await RabbitmqGround.on()
    connection = await amqp.connect(amqpUrl)
    channel = await connection.createConfirmChannel()
  })
  afterAll(async () => {
    await connection?.close()
    await ground?.close()
  })

  /** What a handler gets of messages with these bodies and options. */
  async function through(...published: [body: Buffer, options?: amqp.Options.Publish][]): Promise<Message<Buffer>[]> {
    const stream = await ground.stream()
    for (const [body, options] of published) channel.sendToQueue(stream, body, options)
    await within(20_000, channel.waitForConfirms(), 'the broker to confirm')
    const client = await ground.connect(rabbitmq({ url: ground.url, stream, value: bytes() }))
    const messages = await take(ground.read(client, stream, 0n), published.length)
    expect(messages.map(({ offset }) => Number(offset))).toEqual(published.map((_, index) => index))
    return messages
  }

  test('headers of every type', async () => {
    const headers = {
      int: 7,
      negative: -70_000,
      big: 5_000_000_000,
      float: 1.5,
      yes: true,
      text: 'é',
      nothing: null,
      binary: Buffer.from([0, 0xff, 0xfe]),
      when: { '!': 'timestamp', value: 1_700_000_000 },
      // The broker itself leaves these two out of a stream: AMQP 1.0 has no place for them.
      list: [1, 'a', 2.5, [true]],
      nested: { a: { b: 1 } },
      // And these it keeps elsewhere: as message annotations.
      'x-tenant': 'acme',
      'x-list': [1, 'a', 2.5, [true]],
      'x-nested': { a: { b: 1 } },
    }
    const [message] = await through([Buffer.from('body'), { headers, messageId: 'id-1', contentType: 'text/plain' }])
    expect(Object.fromEntries(message!.headers)).toEqual({
      int: '7',
      negative: '-70000',
      big: '5000000000',
      float: '1.5',
      yes: 'true',
      text: 'é',
      nothing: null,
      binary: '\0\udcff\udcfe',
      when: '2023-11-14T22:13:20.000Z',
      'x-tenant': 'acme',
      'x-list': '[1,"a",2.5,[true]]',
      'x-nested': '{"a":{"b":1}}',
      'x-exchange': '',
      'x-routing-key': message!.stream,
      'properties.message-id': 'id-1',
      'properties.content-type': 'text/plain',
    })
    expect(message!.headers.getBytes('binary')).toEqual(Buffer.from([0, 0xff, 0xfe]))
    expect(message!.key).toBe('id-1')
    expect(message!.value.toString()).toBe('body')
  })

  test('bodies that are empty, no UTF-8, or 10 MB, one behind the other', async () => {
    const large = Buffer.alloc(10_000_000, 'large ')
    const bodies = [Buffer.alloc(0), Buffer.from([0xff, 0x00, 0xc3, 0x28]), large, Buffer.from('after')]
    const messages = await through(...bodies.map((body): [Buffer] => [body]))
    for (const [index, { value }] of messages.entries()) expect(value.equals(bodies[index]!)).toBe(true)
  })
})
