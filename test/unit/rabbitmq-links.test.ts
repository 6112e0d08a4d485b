import { afterEach, expect, test } from 'vitest'
import { Links } from '../../src/rabbitmq/client/links.js'
import { parseRabbitmq } from '../../src/rabbitmq/client/options.js'
import { Offsets } from '../../src/rabbitmq/source/offsets.js'
import { rabbitmq } from '../../src/rabbitmq/source/source.js'
import { FakeStreamBroker, frame, type Mood, u16, u32, yes } from '../support/fake-stream-broker.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function connectTo(mood: Mood = {}, options: object = {}): Promise<{ broker: FakeStreamBroker; links: Links }> {
  const broker = await FakeStreamBroker.start(mood)
  const links = new Links(parseRabbitmq({ port: broker.port, stream: 's', ...options }))
  ends.push(
    () => broker.close(),
    () => links.close(),
  )
  return { broker, links }
}

const never = new AbortController().signal

test('all who come back after an outage share one new connection', async () => {
  const { broker, links } = await connectTo()
  await links.seed()
  expect(broker.sockets.size).toBe(1)
  const lost = await links.seed()
  broker.hangUp()
  await waitFor(() => !lost.alive, { what: 'the loss to be noticed' })
  const found = await Promise.all(Array.from({ length: 20 }, () => links.seed()))
  expect(new Set(found).size).toBe(1)
  expect(broker.sockets.size).toBe(1)
})

test('a super stream that a broker does not know yet is asked for again, one that it never knows is missing', async () => {
  const partitionsQuery = 0x19
  const answering = async (knownAt: number) => {
    let asked = 0
    const broker = await FakeStreamBroker.start({
      answer: (key, request) => {
        if (key !== partitionsQuery) return undefined
        const known = ++asked >= knownAt
        const name = Buffer.from('s-0')
        return known
          ? yes(key, request, u32(1), u16(name.length), name)
          : frame(0x8000 | key, request.subarray(8, 12), u16(2))
      },
    })
    ends.push(() => broker.close())
    return rabbitmq({ port: broker.port, superStream: 's' }).connect({ log: silentLog(), signal: never })
  }
  const client = await answering(3)
  expect(await client.partitions()).toEqual([0])
  await client.close()
  await expect(answering(1_000)).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
})

test('while the broker in the config is away, another one that was heard of says where streams are', async () => {
  const other = await FakeStreamBroker.start()
  ends.push(() => other.close())
  const { broker, links } = await connectTo({ has: [other.port] })
  expect((await links.leaderOf('s')).address.port).toBe(other.port)
  const lost = await links.seed()
  broker.close()
  await waitFor(() => !lost.alive, { what: 'the loss to be noticed' })
  expect((await links.seed()).address.port).toBe(other.port)
  expect(await links.subscribe('s', 'last')).toBeDefined()
})

test('how far a stream goes is asked of its leader, and chunks of a replica', async () => {
  const [leader, replica] = await Promise.all([FakeStreamBroker.start(), FakeStreamBroker.start()])
  ends.push(
    () => leader.close(),
    () => replica.close(),
  )
  const { links } = await connectTo({ has: [leader.port, replica.port] })
  await new Offsets(links).chunks('s')
  await links.subscribe('s', { offset: 0n })
  const [stats, subscribe] = [0x1c, 0x07]
  expect(leader.requests).toContain(stats)
  expect(leader.requests).not.toContain(subscribe)
  expect(replica.requests).toContain(subscribe)
  expect(replica.requests).not.toContain(stats)
})

test('more subscriptions than a connection can number take a second one', async () => {
  const { broker, links } = await connectTo()
  const all = await Promise.all(Array.from({ length: 300 }, () => links.subscribe('s', { offset: 0n })))
  expect(all).toHaveLength(300)
  expect(broker.sockets.size).toBe(2)
})

test('a subscription that the broker knows no more ends, instead of waiting for ever', async () => {
  const { links } = await connectTo({
    // A credit for subscription 0: "subscription id does not exist".
    answer: (key) => (key === 0x09 ? frame(0x8009, u16(4), Buffer.from([0])) : undefined),
  })
  const subscription = await links.subscribe('s', { offset: 0n })
  await expect(subscription.next(never)).rejects.toThrow("the broker knows the subscription to 's' no more (code 4)")
})

test('what a log has now is told by the order of answers, not by time', async () => {
  const { links } = await connectTo()
  const subscription = await links.subscribe('s', 'last')
  expect(await subscription.here()).toBeNull()
})

test('a chunk comes before the answer to a later question', async () => {
  const chunk = Buffer.from('the chunk')
  const { links } = await connectTo({
    answer: (key) => (key === 0x09 ? frame(0x08, Buffer.from([0]), chunk) : undefined),
  })
  const subscription = await links.subscribe('s', 'last')
  expect((await subscription.here())?.chunk.toString()).toBe('the chunk')
})

test.each([
  ['connects', undefined],
  ['waits for an answer', 0x11],
  ['subscribes', 0x07],
])('closing while it %s ends everything at once', async (_, silentAt) => {
  const { broker, links } = await connectTo({ answer: (key) => (key === silentAt ? null : undefined) })
  const subscribing = links.subscribe('s', 'last').catch((error: Error) => error.message)
  if (silentAt !== undefined) await waitFor(() => broker.requests.includes(silentAt), { what: 'the request' })
  links.close()
  expect(await subscribing).toMatch(/was closed/)
  await waitFor(() => broker.sockets.size === 0, { what: 'the connection to be gone' })
})

test('a broker that answers no more is given up, and its connection with it', async () => {
  const { broker, links } = await connectTo(
    { answer: (key) => (key === 0x07 ? null : undefined) },
    { requestTimeout: '100ms' },
  )
  await expect(links.subscribe('s', 'last')).rejects.toThrow('no answer within 100 ms')
  await waitFor(() => broker.sockets.size === 0, { what: 'the connection to be gone' })
})

test.each(['3.10.0', '3.12.14'])('RabbitMQ %s is refused, naming the version that is needed', async (version) => {
  const { links } = await connectTo({ version })
  await expect(links.partitions()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/^the broker at 127\.0\.0\.1:\d+ is RabbitMQ 3\.1\S+, and 3\.13 or newer is needed/),
  })
})

test('a log whose committed end is not known yet does not look empty', async () => {
  const { links } = await connectTo({
    answer: (key, request) => (key === 0x1c ? uncommitted(request) : undefined),
  })
  await expect(new Offsets(links).boundsOf('s')).rejects.toThrow("does not know yet how far 's' is committed")
})

function uncommitted(request: Buffer): Buffer {
  const stat = (name: string, value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    return [u16(name.length), Buffer.from(name), bytes]
  }
  const stats = [...stat('first_chunk_id', 0n), ...stat('committed_chunk_id', -1n), ...stat('last_chunk_id', 7n)]
  return frame(0x801c, request.subarray(8, 12), u16(1), u32(3), ...stats)
}
