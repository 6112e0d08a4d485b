import { afterEach, beforeEach, expect, it } from 'vitest'
import { bytes, text } from '../../src/entry/kafka.js'
import { BrokerLink } from '../../src/kafka/client/broker-link.js'
import { Connector } from '../../src/kafka/client/driver.js'
import { parseKafka } from '../../src/kafka/client/options.js'
import { readFetchResponse } from '../../src/kafka/source/fetch.js'
import { type RecordBatch, readBatches } from '../../src/kafka/source/record-batch.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { javaReads, KafkaGround, kafkaTool, readOptions, readTo } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'a log on a real broker', () => {
  let ground: KafkaGround

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
  })
  afterEach(() => ground.close())

  it('that was compacted, with gaps and an emptied batch, is read to its head and exactly once', async () => {
    const topic = await ground.topic({
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'min.compaction.lag.ms': '0',
    })
    const plain = await ground.producer()
    // The cleaner keeps the last batch of an idempotent producer even when it has nothing left in it.
    const emptied = ground.client.producer({ idempotent: true, maxInFlightRequests: 1 })
    await emptied.connect()
    const last = new Map<string, string>()
    const write = async (keys: number[], what: string, producer = plain) => {
      const messages = keys.map((key) => ({ key: `k${key}`, value: `${what} of k${key}` }))
      await producer.send({ topic, messages })
      for (const { key, value } of messages) last.set(key, value)
    }
    const all = Array.from({ length: 20 }, (_, i) => i)
    await write(all, 'first')
    await write(all, 'second', emptied)
    await emptied.disconnect()
    for (let round = 0; round < 5; round++)
      await write(
        all.filter((i) => i % 5 !== round),
        `round ${round}`,
      )
    await write([100], 'kept in the middle')
    await write(all, 'latest')

    const client = await ground.connect({ topic, value: text() })
    await waitFor(
      async () => {
        // Each write may begin a new segment, and only old segments are cleaned.
        await write([200], 'now')
        const { messages } = await readTo(client, topic)
        return messages.filter(({ key }) => key !== 'k200').length === 21
      },
      { what: 'the cleaner', timeout: 60_000 },
    )
    const { messages, position, chunks } = await readTo(client, topic)
    const { first, head } = (await client.bounds([0])).get(0)!
    expect(position).toBe(head)
    expect(chunks).toBeLessThan(20)
    expect(messages[0]!.offset).toBeGreaterThan(first)
    const others = messages.filter(({ key }) => key !== 'k200')
    expect(new Map(others.map(({ key, value }) => [key, value]))).toEqual(
      new Map([...last].filter(([k]) => k !== 'k200')),
    )
    expect((await batchesOf(topic)).filter(({ count }) => count === 0)).not.toEqual([])

    // One batch at a time, from every offset: whatever gap a reader starts in, it comes to the same end.
    for (let from = 0n; from <= others[0]!.offset; from += 7n) {
      const read = await readTo(client, topic, { from, end: head, fetchBytes: 1 })
      // The cleaner is still at work on the key that goes on being written.
      expect(read.messages.filter(({ key }) => key !== 'k200').map(({ offset }) => offset)).toEqual(
        others.map(({ offset }) => offset).filter((offset) => offset >= from),
      )
    }
  })

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('that the Java client compressed with %s is read', async (codec) => {
    const topic = await ground.topic()
    const { home, brokers } = part('kafka')
    const lines = Array.from({ length: 3_000 }, (_, i) => `message ${i} ${'pad'.repeat(i % 60)}`)
    await kafkaTool(
      home,
      'ConsoleProducer',
      ['--bootstrap-server', brokers[0]!, '--topic', topic, '--compression-codec', codec, '--batch-size', '200000'],
      `${lines.join('\n')}\n`,
    )
    const client = await ground.connect({ topic, value: text() })
    const { messages } = await readTo(client, topic)
    expect(messages.map(({ value }) => value)).toEqual(lines)
    expect((await batchesOf(topic)).some(({ count }) => count > 100)).toBe(true)
  })

  it('comes as the Java consumer reads it', async () => {
    const topic = await ground.topic()
    const producer = await ground.producer()
    for (let i = 0; i < 20; i++)
      await producer.send({ topic, messages: [0, 1].map((j) => ({ key: j ? `k${i}` : null, value: `${i}.${j}` })) })
    const client = await ground.connect({ topic, value: text() })
    const { messages } = await readTo(client, topic)
    const { home, brokers } = part('kafka')
    expect(messages.map(({ offset, key, value }) => `Offset:${offset}\t${key}\t${value}`)).toEqual(
      await javaReads(home, brokers[0]!, topic, 'read_uncommitted'),
    )
  })

  it('may bring 150,000 records in one batch and one fetch', async () => {
    const topic = await ground.topic({ 'max.message.bytes': '50000000' })
    const { home, brokers } = part('kafka')
    await kafkaTool(
      home,
      'ConsoleProducer',
      [
        ...['--bootstrap-server', brokers[0]!, '--topic', topic, '--batch-size', '20000000', '--timeout', '60000'],
        ...['--producer-property', 'max.request.size=20000000', '--producer-property', 'buffer.memory=60000000'],
      ],
      Array.from({ length: 150_000 }, (_, i) => `m${i}\n`).join(''),
    )
    expect((await batchesOf(topic)).map(({ count }) => count)).toEqual([150_000])
    const client = await ground.connect({ topic, value: bytes() })
    const reader = client.read(0n, readOptions(topic, { fetchBytes: 50_000_000 }))
    const chunk = await reader.next({ maxMessages: 200_000, waitMs: 30_000 })
    expect(chunk!.messages).toHaveLength(150_000)
    expect(chunk!.messages.at(-1)!.value!.toString()).toBe('m149999')
    expect(chunk!.next).toBe(150_000n)
    await reader.close()
  })

  it('never takes more memory than the budget and one fetch', async () => {
    const topic = await ground.topic()
    const producer = await ground.producer()
    const pad = 'x'.repeat(1_000)
    for (let i = 0; i < 60; i++)
      await producer.send({ topic, messages: Array.from({ length: 50 }, (_, j) => ({ value: `${i}.${j} ${pad}` })) })
    const client = await ground.connect({ topic, value: text() })
    const fetchBytes = 150_000
    const budget = new SharedBudget(300_000)
    let most = 0
    const reader = client.read(0n, readOptions(topic, { fetchBytes, budget }))
    const held: (() => void)[] = []
    for (let position = 0n; position < 3_000n; ) {
      const chunk = await reader.next({ maxMessages: 40, waitMs: 300 })
      most = Math.max(most, budget.used)
      if (chunk) {
        position = chunk.next
        held.push(chunk.release)
      }
      // A handler that is slower than the log.
      if (!chunk || held.length > 3) held.shift()?.()
    }
    for (const release of held) release()
    await reader.close()
    // Whole batches of 50 KB come, and 250 bytes for each message object.
    expect(most).toBeLessThanOrEqual(300_000 + fetchBytes * 1.4)
    expect(budget.used).toBe(0)
  })

  /** The record batches as they stand in the log. */
  async function batchesOf(topic: string): Promise<readonly RecordBatch[]> {
    const settings = parseKafka({ brokers: ground.brokers, topic })
    const [host, port] = ground.brokers[0]!.split(':')
    const link = await BrokerLink.open(
      new Connector(settings, ground.log),
      { host: host!, port: Number(port) },
      new AbortController().signal,
    )
    try {
      const body = await link.fetch(topic, {
        maxWaitMs: 100,
        maxBytes: 10_000_000,
        rackId: '',
        partitions: [{ partition: 0, from: 0n, maxBytes: 10_000_000 }],
      })
      return readBatches(readFetchResponse(body).partitions[0]!.records).batches
    } finally {
      await link.close()
    }
  }
})
