import { readFileSync } from 'node:fs'
import { Offset, type Publisher } from 'rabbitmq-stream-js-client'
import { type Compression, CompressionType } from 'rabbitmq-stream-js-client/dist/compression.js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { rabbitmq, text } from '../../src/entry/rabbitmq.js'
import { decompress } from '../../src/reading/compression.js'
import { describeWith, part } from '../support/parts.js'
import { publish, RabbitmqGround, take } from '../support/rabbitmq-ground.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['rabbitmq'], 'RabbitMQ streams', () => {
  let ground: RabbitmqGround
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)

  beforeEach(async () => {
    ground = await RabbitmqGround.on()
    process.on('unhandledRejection', note)
  })
  afterEach(async () => {
    await ground.close()
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })

  const source = (stream: string) => rabbitmq({ url: part('rabbitmq').url, stream, value: text() })
  const said = (...texts: string[]) => texts.map((content) => ({ content: Buffer.from(content) }))
  /** A publisher that packs batches in a way of the test's own. */
  async function packer(stream: string, type: number, compress: (data: Buffer) => Buffer): Promise<Publisher> {
    const publisher = await ground.client.declarePublisher({ stream })
    const { connection } = publisher as unknown as { connection: { registerCompression(how: Compression): void } }
    connection.registerCompression({ getType: () => type, compress, decompress: (data) => data })
    return publisher
  }

  test('packed batches, plain and gzip, have the offsets that the broker counts, from any position', async () => {
    const name = await ground.stream()
    const publisher = await ground.client.declarePublisher({ stream: name })
    const batch = (from: number) => said(...Array.from({ length: 5 }, (_, i) => `m${from + i}`))
    await publisher.sendSubEntries(batch(0), CompressionType.None)
    await publisher.sendSubEntries(batch(5), CompressionType.Gzip)
    await publisher.send(Buffer.from('m10'))
    // Packed batches would overtake what waits in the publisher.
    await publisher.flush()
    await publisher.sendSubEntries(batch(11), CompressionType.Gzip)
    await publisher.flush()
    const client = await ground.connect(source(name))
    await waitFor(async () => (await client.bounds([0])).get(0)!.head === 16n, { what: 'the head to be 16' })
    for (const from of [0, 3, 7, 10, 13, 15]) {
      const messages = await take(ground.read(client, name, BigInt(from)), 16 - from)
      expect(messages.map(({ offset, value }) => [Number(offset), value])).toEqual(
        Array.from({ length: 16 - from }, (_, i) => [from + i, `m${from + i}`]),
      )
    }
  })

  test("what Java's libraries have packed with snappy, lz4 and zstd is read", async () => {
    const java = JSON.parse(readFileSync('test/unit/rabbitmq-packed.json', 'utf8'))
    const bodies = ['m0', 'm1', 'm2', `m3${'hello '.repeat(3_334).slice(0, 20_000)}`, 'm4']
    const name = await ground.stream()
    for (const codec of ['snappy', 'lz4', 'zstd']) {
      const type = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].indexOf(codec)
      const packed = Buffer.from(java[codec], 'base64')
      const publisher = await packer(name, type, (data) => {
        if (!decompress(type, packed).equals(data)) throw new Error('the test packs other messages than Java did')
        return packed
      })
      await publisher.sendSubEntries(said(...bodies), type)
      await publisher.flush()
      const head = BigInt((type - 1) * 5)
      const client = await ground.connect(source(name))
      await waitFor(async () => (await client.bounds([0])).get(0)!.head === head, { what: `the head to be ${head}` })
    }
    const messages = await take(ground.read(await ground.connect(source(name)), name, 0n), 15)
    expect(messages.map(({ offset, value }) => [Number(offset), value])).toEqual(
      Array.from({ length: 15 }, (_, i) => [i, bodies[i % 5]]),
    )
  })

  test.each([
    ['bytes that are no AMQP 1.0', 2, 'is no AMQP 1.0'],
    ['a packing of the future', 6, '2 messages are packed with compression 6'],
    ['a batch that is not what it says', 4, "a packed batch can't be unpacked"],
  ])('%s stop the partition in front of them, after the messages before', async (_, type, why) => {
    const name = await ground.stream()
    await publish(ground.client, name, said('good', 'good too'))
    const publisher = await packer(name, type, (data) => {
      if (type !== 2) return Buffer.from('nothing of that kind')
      const broken = Buffer.from(data)
      // Behind the length of the first message.
      broken.fill(0xff, 4, 7)
      return Buffer.concat([Buffer.from('ff060000734e6150705901', 'hex'), uint24(broken.length + 4), u32, broken])
    })
    await publisher.sendSubEntries(said('bad', 'bad too'), type)
    await publisher.flush()
    const client = await ground.connect(source(name))
    await waitFor(async () => (await client.bounds([0])).get(0)!.head === 4n, { what: 'the head to be 4' })
    const reader = ground.read(client, name, 0n)
    expect((await take(reader, 2)).map(({ value }) => value)).toEqual(['good', 'good too'])
    for (let times = 0; times < 2; times++)
      await expect(take(reader, 1)).rejects.toMatchObject({
        code: type === 4 ? 'CORRUPT_DATA' : 'UNDECODABLE',
        message: expect.stringContaining(why),
        place: { group: 'g', stream: name, partition: 0, offset: '2' },
      })
  })

  test('a stream that was created again has no position beyond its head', async () => {
    const name = await ground.stream()
    await publish(ground.client, name, said('1', '2', '3'))
    const client = await ground.connect(source(name))
    const reader = ground.read(client, name, 0n)
    expect(await take(reader, 3)).toHaveLength(3)
    const waiting = client.waitForData(0, 3n, AbortSignal.timeout(30_000))
    await ground.client.deleteStream({ stream: name })
    await ground.client.createStream({ stream: name, arguments: {} })
    expect(await waiting).toBe(true)
    await expect(reader.next({ maxMessages: 10, waitMs: 30_000 })).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      place: { group: 'g', stream: name, partition: 0, offset: '3' },
    })
  })

  test('a stream that was deleted ends its reader, saying so, and who waits there', async () => {
    const name = await ground.stream()
    const client = await ground.connect(source(name))
    const reader = ground.read(client, name, 0n)
    const waiting = client.waitForData(0, 0n, AbortSignal.timeout(30_000))
    const coming = reader.next({ maxMessages: 10, waitMs: 60_000 })
    coming.catch(() => {})
    expect(await reader.next({ maxMessages: 10, waitMs: 100 }).catch(() => null)).toBeNull()
    await ground.client.deleteStream({ stream: name })
    await expect(coming).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
    expect(await waiting).toBe(true)
  })

  test("offsets that the broker's own notes take are passed, and do not move the head", async () => {
    const name = await ground.stream()
    await publish(ground.client, name, said('0', '1', '2'))
    const tracker = await ground.client.declareConsumer(
      { stream: name, offset: Offset.first(), consumerRef: 'somebody' },
      () => {},
    )
    for (const offsetValue of [1n, 2n]) {
      await tracker.storeOffset(offsetValue)
      const stored = () => ground.client.queryOffset({ reference: 'somebody', stream: name })
      await waitFor(async () => (await stored()) === offsetValue, { what: 'the offset to be stored' })
    }
    const client = await ground.connect(source(name))
    expect((await client.bounds([0])).get(0)).toEqual({ first: 0n, head: 3n })
    const reader = ground.read(client, name, 0n)
    expect((await take(reader, 3)).map(({ value }) => value)).toEqual(['0', '1', '2'])
    await publish(ground.client, name, said('3', '4', '5'))
    const later = await take(reader, 3)
    expect(later.map(({ value }) => value)).toEqual(['3', '4', '5'])
    expect(later[0]!.offset).toBeGreaterThan(3n)
  })

  test('a log that holds nothing but notes of the broker is empty, and says so at once', async () => {
    const name = await ground.stream()
    const tracker = await ground.client.declareConsumer(
      { stream: name, offset: Offset.first(), consumerRef: 'somebody' },
      () => {},
    )
    await tracker.storeOffset(1n)
    const stored = () => ground.client.queryOffset({ reference: 'somebody', stream: name })
    await waitFor(async () => (await stored()) === 1n, { what: 'the offset to be stored' })
    const client = await ground.connect(source(name))
    const started = performance.now()
    const { first, head } = (await client.bounds([0])).get(0)!
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(first).toBeLessThanOrEqual(head)
    const reader = ground.read(client, name, await client.resolve(0, 'first'))
    await publish(ground.client, name, said('first'))
    expect((await take(reader, 1)).map(({ value }) => value)).toEqual(['first'])
  })
})

/** A checksum that nobody looks at. */
const u32 = Buffer.alloc(4)

function uint24(value: number): Buffer {
  const bytes = Buffer.alloc(3)
  bytes.writeUIntLE(value, 0, 3)
  return bytes
}
