import { type Client, Offset } from 'rabbitmq-stream-js-client'
import { CompressionType } from 'rabbitmq-stream-js-client/dist/compression.js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Stack, startStack } from '../../src/local/stack.js'
import { isTidemarkError, type TidemarkError } from '../../src/model/errors.js'
import type { Message, Reader, Source, SourceClient } from '../../src/ports.js'
import { rabbitmq, text } from '../../src/rabbitmq.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { describeWith, part } from '../support/parts.js'
import { manage, publish, rabbitmqClient } from '../support/rabbitmq-ground.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const context = () => ({ log: silentLog(), signal: new AbortController().signal })

describeWith(['rabbitmq'], 'RabbitMQ streams', () => {
  let writer: Client
  const cleanUp: (() => unknown)[] = []
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)

  beforeAll(async () => {
    writer = await rabbitmqClient()
    process.on('unhandledRejection', note)
  })
  afterEach(async () => {
    while (cleanUp.length > 0) await cleanUp.pop()!()
  })
  afterAll(async () => {
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
    await writer.close()
  })

  async function stream(): Promise<string> {
    const name = unique('troubles')
    await writer.createStream({ stream: name, arguments: {} })
    cleanUp.push(() => writer.deleteStream({ stream: name }).catch(() => {}))
    return name
  }

  async function open<V>(source: Source<V>): Promise<SourceClient<V>> {
    const client = await source.connect(context())
    cleanUp.push(() => client.close())
    return client
  }

  function read<V>(client: SourceClient<V>, name: string, from: bigint): Reader<V> {
    const reader = client.read(from, {
      key: { group: 'g', stream: name, partition: 0 },
      replay: 0,
      fetchBytes: 64 * 1024,
      budget: new SharedBudget(256 * 1024 * 1024),
      signal: new AbortController().signal,
    })
    cleanUp.push(() => reader.close())
    return reader
  }

  async function take<V>(reader: Reader<V>, count: number): Promise<Message<V>[]> {
    const messages: Message<V>[] = []
    while (messages.length < count) {
      const chunk = await reader.next({ maxMessages: 1_000, waitMs: 30_000 })
      if (!chunk) throw new Error(`nothing came after ${messages.length} messages`)
      for (const message of chunk.messages) messages.push(message)
      chunk.release()
      if (chunk.poison) throw chunk.poison
    }
    return messages
  }

  async function refusal(source: Source): Promise<TidemarkError> {
    const error = await source.connect(context()).then(
      () => new Error('it connected'),
      (error: unknown) => error,
    )
    if (!isTidemarkError(error)) throw error
    return error
  }

  test('a wrong password, virtual host or stream is said clearly, and nothing else happens', async () => {
    const { url } = part('rabbitmq')
    const wrong = new URL(url)
    wrong.password = 'hunter2'
    const password = await refusal(rabbitmq({ url: wrong.href, stream: 'any' }))
    expect(password.code).toBe('AUTH_FAILED')
    expect(password.message).toContain('user name and password')
    expect(`${password.stack} ${JSON.stringify(password)}`).not.toContain('hunter2')
    const vhost = await refusal(rabbitmq({ url: `${url}/nowhere`, stream: 'any' }))
    expect(vhost.code).toBe('AUTH_FAILED')
    expect(vhost.message).toContain("virtual host 'nowhere'")
    expect((await refusal(rabbitmq({ url, stream: unique('missing') }))).code).toBe('STREAM_NOT_FOUND')
    expect((await refusal(rabbitmq({ url, superStream: unique('missing') }))).code).toBe('STREAM_NOT_FOUND')
  })

  test('a server that is no broker is given up in time', async () => {
    const { createServer } = await import('node:net')
    const mute = createServer(() => {}).listen(0, '127.0.0.1')
    await waitFor(() => mute.listening, { what: 'the mute server to listen' })
    cleanUp.push(() => mute.close())
    const { port } = mute.address() as { port: number }
    const error = await refusal(rabbitmq({ host: '127.0.0.1', port, stream: 'any', requestTimeout: '300ms' }))
    expect(error.code).toBe('UNREACHABLE')
    expect(error.message).toContain('no answer within 300 ms')
  })

  test('packed batches, plain and gzip, have the offsets that the broker counts, from any position', async () => {
    const name = await stream()
    const publisher = await writer.declarePublisher({ stream: name })
    const batch = (from: number) => Array.from({ length: 5 }, (_, i) => ({ content: Buffer.from(`m${from + i}`) }))
    await publisher.sendSubEntries(batch(0), CompressionType.None)
    await publisher.sendSubEntries(batch(5), CompressionType.Gzip)
    await publisher.send(Buffer.from('m10'))
    // Packed batches would overtake what waits in the publisher.
    await publisher.flush()
    await publisher.sendSubEntries(batch(11), CompressionType.Gzip)
    await publisher.flush()
    const client = await open(rabbitmq({ url: part('rabbitmq').url, stream: name, value: text() }))
    await waitFor(async () => (await client.bounds([0])).get(0)!.head === 16n, { what: 'the head to be 16' })
    for (const from of [0, 3, 7, 10, 13, 15]) {
      const messages = await take(read(client, name, BigInt(from)), 16 - from)
      expect(messages.map(({ offset, value }) => [Number(offset), value])).toEqual(
        Array.from({ length: 16 - from }, (_, i) => [from + i, `m${from + i}`]),
      )
    }
  })

  test('messages of AMQP 0.9.1 with headers of any type, an empty body and one of 10 MB', async () => {
    const name = await stream()
    const send = (payload: string, headers: object) =>
      manage('POST', 'exchanges/%2F/amq.default/publish', {
        routing_key: name,
        payload,
        payload_encoding: 'string',
        properties: { message_id: 'id-1', headers },
      })
    await send('first', { int: 7, big: 5_000_000_000, float: 1.5, yes: true, list: [1, 'a'], nested: { a: { b: 1 } } })
    await send('', { text: 'é' })
    await publish(writer, name, [{ content: Buffer.from('between') }])
    await send('x'.repeat(10_000_000), {})
    const client = await open(rabbitmq({ url: part('rabbitmq').url, stream: name, value: text() }))
    const messages = await take(read(client, name, 0n), 4)
    expect(messages.map(({ offset, value }) => [offset, value.length])).toEqual([
      [0n, 5],
      [1n, 0],
      [2n, 7],
      [3n, 10_000_000],
    ])
    const [first, second] = messages
    expect(first!.key).toBe('id-1')
    expect(Object.fromEntries(first!.headers)).toMatchObject({ int: '7', big: '5000000000', float: '1.5', yes: 'true' })
    expect(second!.headers.get('text')).toBe('é')
  })

  test('a stream that was created again has no position beyond its head', async () => {
    const name = await stream()
    await publish(
      writer,
      name,
      [1, 2, 3].map((n) => ({ content: Buffer.from(`${n}`) })),
    )
    const client = await open(rabbitmq({ url: part('rabbitmq').url, stream: name }))
    const reader = read(client, name, 0n)
    expect(await take(reader, 3)).toHaveLength(3)
    const waiting = client.waitForData(0, 3n, AbortSignal.timeout(30_000))
    await writer.deleteStream({ stream: name })
    await writer.createStream({ stream: name, arguments: {} })
    expect(await waiting).toBe(true)
    await expect(reader.next({ maxMessages: 10, waitMs: 30_000 })).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      place: { group: 'g', stream: name, partition: 0, offset: '3' },
    })
  })

  test('a stream that was deleted ends its reader, saying so', async () => {
    const name = await stream()
    const client = await open(rabbitmq({ url: part('rabbitmq').url, stream: name }))
    const reader = read(client, name, 0n)
    const coming = reader.next({ maxMessages: 10, waitMs: 60_000 })
    coming.catch(() => {})
    expect(await reader.next({ maxMessages: 10, waitMs: 100 }).catch(() => null)).toBeNull()
    await writer.deleteStream({ stream: name })
    await expect(coming).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
  })

  test("offsets that the broker's own notes take are passed, and do not move the head", async () => {
    const name = await stream()
    const say = (from: number) =>
      publish(
        writer,
        name,
        [0, 1, 2].map((n) => ({ content: Buffer.from(`${from + n}`) })),
      )
    await say(0)
    const tracker = await writer.declareConsumer(
      { stream: name, offset: Offset.first(), consumerRef: 'somebody' },
      () => {},
    )
    for (const offsetValue of [1n, 2n]) {
      await tracker.storeOffset(offsetValue)
      await waitFor(async () => (await writer.queryOffset({ reference: 'somebody', stream: name })) === offsetValue, {
        what: 'the offset to be stored',
      })
    }
    const client = await open(rabbitmq({ url: part('rabbitmq').url, stream: name }))
    expect((await client.bounds([0])).get(0)).toEqual({ first: 0n, head: 3n })
    const reader = read(client, name, 0n)
    expect((await take(reader, 3)).map(({ value }) => value)).toEqual([0, 1, 2])
    await say(3)
    const later = await take(reader, 3)
    expect(later.map(({ value }) => value)).toEqual([3, 4, 5])
    expect(later[0]!.offset).toBeGreaterThan(3n)
  })
})

describeWith(['rabbitmq'], 'a RabbitMQ broker that goes away', () => {
  let stack: Stack
  let writer: Client
  beforeAll(async () => {
    stack = await startStack({ rabbitmq: { own: true } })
  })
  afterAll(() => stack?.stop())

  async function started(name: string, count: number) {
    writer = await rabbitmqClient(stack.rabbitmq.url)
    await writer.createStream({ stream: name, arguments: {} })
    const messages = Array.from({ length: count }, (_, n) => ({ content: Buffer.from(`${n}`) }))
    await publish(writer, name, messages)
    const { log } = context()
    const source = rabbitmq({ url: stack.rabbitmq.url, stream: name, heartbeat: '1s' })
    const client = await source.connect({ log, signal: new AbortController().signal })
    const reader = client.read(0n, {
      key: { group: 'g', stream: name, partition: 0 },
      replay: 0,
      fetchBytes: 64 * 1024,
      budget: new SharedBudget(64 * 1024 * 1024),
      signal: new AbortController().signal,
    })
    return { client, reader, log }
  }

  /** A stream needs a moment after its broker. */
  const back = (work: () => Promise<void>) => waitFor(() => work().then(() => true), { what: 'the stream to be back' })

  test('is waited for: killed or restarted in the middle, no message is lost and none comes twice', async () => {
    const count = 200_000
    const { client, reader } = await started('restarted', count)
    let next = 0
    let restarts = 0
    let restarting: Promise<void> = Promise.resolve()
    while (next < count) {
      const chunk = await reader.next({ maxMessages: 1_000, waitMs: 60_000 })
      if (!chunk) throw new Error(`nothing came after ${next} messages`)
      for (const { value, offset } of chunk.messages) {
        if (value !== next || offset !== BigInt(next)) throw new Error(`${value} at ${offset} instead of ${next}`)
        next++
      }
      chunk.release()
      if (next > (count / 3) * (restarts + 1) && restarts < 2) {
        await restarting
        if (restarts++ === 0) await stack.rabbitmq.kill()
        restarting = stack.rabbitmq.restart()
      }
    }
    await restarting
    expect(next).toBe(count)
    const waiting = client.waitForData(0, BigInt(count), AbortSignal.timeout(60_000))
    await stack.rabbitmq.restart()
    const again = await rabbitmqClient(stack.rabbitmq.url)
    await back(() => publish(again, 'restarted', [{ content: Buffer.from('"after"') }]))
    expect(await waiting).toBe(true)
    await client.close()
    await again.close()
  })

  test('is noticed when it freezes, and read on when it comes back', async () => {
    const { client, reader, log } = await started('frozen', 1)
    expect((await reader.next({ maxMessages: 1, waitMs: 30_000 }))!.messages).toHaveLength(1)
    await stack.rabbitmq.pause()
    const coming = reader.next({ maxMessages: 1, waitMs: 60_000 })
    await waitFor(() => log.lines.some(({ level }) => level === 'warn'), { what: 'the outage to be logged' })
    await stack.rabbitmq.resume()
    const again = await rabbitmqClient(stack.rabbitmq.url)
    await publish(again, 'frozen', [{ content: Buffer.from('"after"') }])
    expect((await coming)!.messages.map(({ value }) => value)).toEqual(['after'])
    await client.close()
    await again.close()
  })
})
