import net, { type AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { kafka, text } from '../../src/entry/kafka.js'
import { isTidemarkError, type TidemarkError } from '../../src/model/errors.js'
import { KafkaGround, readOptions } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'what retrying cannot mend', () => {
  let ground: KafkaGround

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
  })
  afterEach(() => ground.close())

  const never = new AbortController().signal

  it('no such topic is said at connect', async () => {
    const topic = unique('missing')
    const error = await failureOf(kafka({ brokers: ground.brokers, topic }).connect({ log: ground.log, signal: never }))
    expect(error.code).toBe('STREAM_NOT_FOUND')
    expect(error.message).toContain(`no topic '${topic}'`)
  })

  it('an unreachable broker is named at connect, within seconds', async () => {
    const started = performance.now()
    const source = kafka({ brokers: ['127.0.0.1:1', '127.0.0.1:2'], topic: 'any' })
    const error = await failureOf(source.connect({ log: silentLog(), signal: never }))
    expect(error.code).toBe('UNREACHABLE')
    expect(error.message).toContain('127.0.0.1:1, 127.0.0.1:2')
    expect(performance.now() - started).toBeLessThan(8_000)
  })

  it('a server that accepts and never answers is given up within seconds', async () => {
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const source = kafka({ brokers: [`127.0.0.1:${port}`], topic: 'any', connectionTimeout: '500ms' })
    const error = await failureOf(source.connect({ log: silentLog(), signal: never }))
    expect(error.code).toBe('UNREACHABLE')
    expect(error.message).toContain(`127.0.0.1:${port} did not answer within 1000 ms`)
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it('connecting ends when the worker gives up', async () => {
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const end = new AbortController()
    const source = kafka({ brokers: [`127.0.0.1:${port}`], topic: 'any', connectionTimeout: '60s' })
    const connecting = source.connect({ log: silentLog(), signal: end.signal }).catch((error: unknown) => error)
    end.abort()
    expect(await connecting).toBeInstanceOf(Error)
    server.close()
  })

  it('a topic deleted under a reader and a waiter ends both, soon and without a busy loop', async () => {
    const topic = await ground.topic()
    const client = await ground.connect({ topic, value: text() })
    const reader = client.read(0n, readOptions(topic))
    const next = failureOf(reader.next({ maxMessages: 10, waitMs: 60_000 }))
    const waiting = client.waitForData(0, 0n, AbortSignal.timeout(60_000))
    const busy = process.cpuUsage()
    await ground.admin.deleteTopics({ topics: [topic] })
    const error = await next
    expect(error.code).toBe('STREAM_NOT_FOUND')
    expect(error.message).toContain(`${topic}[0], group readers`)
    expect(await waiting).toBe(true)
    const { user, system } = process.cpuUsage(busy)
    expect((user + system) / 1000).toBeLessThan(3_000)
    expect((await failureOf(client.partitions())).code).toBe('STREAM_NOT_FOUND')
    await reader.close()
  })

  it('a topic created again under a reader, longer than what was handled, is not read on', async () => {
    const topic = await ground.topic()
    const producer = await ground.producer()
    const write = (count: number) =>
      producer.send({ topic, messages: Array.from({ length: count }, (_, n) => ({ value: `${n}` })) })
    await write(20)
    const client = await ground.connect({ topic, value: text() })
    const reader = client.read(0n, { ...readOptions(topic), identity: await client.identity(0) })
    for (let read = 0; read < 20; ) read += (await reader.next({ maxMessages: 20, waitMs: 20_000 }))!.messages.length
    const next = failureOf(reader.next({ maxMessages: 10, waitMs: 60_000 }))
    await ground.admin.deleteTopics({ topics: [topic] })
    const create = () => ground.admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: false })
    await waitFor(create, { what: 'the topic to be created again' })
    await waitFor(() => write(40), { what: 'the new topic to be written' })
    const error = await next
    expect(error.code).toBe('OUT_OF_RANGE')
    expect(error.message).toContain('position 20 belongs to a topic that was deleted')
    await reader.close()
  })

  it('a position that retention has deleted is OUT_OF_RANGE and names the bounds', async () => {
    const topic = await ground.topic()
    const producer = await ground.producer()
    for (let i = 0; i < 10; i++) await producer.send({ topic, messages: [{ value: `${i}` }] })
    await ground.admin.fetchTopicOffsets(topic)
    await ground.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] })
    const client = await ground.connect({ topic, value: text() })
    await waitFor(async () => (await client.bounds([0])).get(0)!.first === 6n, { what: 'the records to be gone' })
    expect(await client.resolve(0, 'first')).toBe(6n)
    const reader = client.read(2n, readOptions(topic))
    const error = await failureOf(reader.next({ maxMessages: 10, waitMs: 20_000 }))
    expect(error.code).toBe('OUT_OF_RANGE')
    expect(error.message).toContain(
      'position 2 is out of range: the log holds offsets 6 to 9, and the next one is 10; retention has deleted',
    )
    expect(error.place).toMatchObject({ group: 'readers', stream: topic, partition: 0, offset: '2' })
    expect(await client.waitForData(0, 2n, AbortSignal.timeout(20_000))).toBe(true)
    await reader.close()
  })

  it('a position beyond the head is OUT_OF_RANGE, and somebody who waits there is told', async () => {
    const topic = await ground.topic()
    const client = await ground.connect({ topic, value: text() })
    expect(await client.waitForData(0, 5n, AbortSignal.timeout(20_000))).toBe(true)
    const reader = client.read(5n, readOptions(topic))
    const error = await failureOf(reader.next({ maxMessages: 10, waitMs: 20_000 }))
    expect(error.code).toBe('OUT_OF_RANGE')
    expect(error.message).toContain('the log is shorter than what was handled')
    await reader.close()
  })

  it('nobody who awaits a failed read is not a crash', async () => {
    const topic = await ground.topic()
    const producer = await ground.producer()
    await producer.send({ topic, messages: [{ value: 'a' }] })
    const client = await ground.connect({ topic, value: text() })
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      const reader = client.read(0n, readOptions(topic))
      // The reader fetches ahead while nobody calls `next`, as a parked one does.
      expect((await reader.next({ maxMessages: 10, waitMs: 20_000 }))!.messages).toHaveLength(1)
      await ground.admin.deleteTopics({ topics: [topic] })
      const error = await waitFor(() => failureOf(reader.next({ maxMessages: 1, waitMs: 1 })), {
        what: 'the reader to fail',
      })
      expect(error.code).toBe('STREAM_NOT_FOUND')
      expect(unhandled).toEqual([])
      await reader.close()
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})

async function failureOf(work: Promise<unknown>): Promise<TidemarkError> {
  const error = await work.then(
    (value) => new Error(`it did not fail: ${String(value)}`),
    (error: unknown) => error,
  )
  if (!isTidemarkError(error)) throw error
  return error
}
