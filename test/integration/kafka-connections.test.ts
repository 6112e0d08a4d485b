import { setMaxListeners } from 'node:events'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { text } from '../../src/entry/kafka.js'
import { type Stack, startStack } from '../../src/local/stack.js'
import type { Reader } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { KafkaGround, readOptions } from '../support/kafka-ground.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'

const count = 256
const each = 20

describeWith(['kafka'], `a topic of ${count} partitions`, () => {
  let stack: Stack
  let ground: KafkaGround

  beforeAll(async () => {
    // So many partitions keep a broker busy: one of its own.
    stack = await startStack({ kafka: { own: true } })
    ground = await KafkaGround.on(stack.kafka.brokers)
  })
  afterAll(async () => {
    await ground?.close()
    await stack?.stop()
  })

  it('is read with at most eight connections to a broker, every partition in order and without delay', async () => {
    const topic = await ground.topic({}, count)
    const producer = await ground.producer()
    const partitions = Array.from({ length: count }, (_, partition) => partition)
    const write = (from: number) =>
      producer.send({
        topic,
        messages: partitions.flatMap((partition) =>
          Array.from({ length: each }, (_, i) => ({ partition, value: `${partition}/${from + i}` })),
        ),
      })
    // A producer that finds a partition without a leader writes again what the other partitions have already.
    const first = await ground.connect({ topic })
    await waitFor(() => first.bounds(partitions), { what: 'a leader for every partition' })
    await first.close()
    await write(0)
    const others = await connections(ground.brokers)
    let most = 0
    const look = async () => {
      const now = await connections(ground.brokers)
      most = Math.max(most, [...now].filter((one) => !others.has(one)).length)
    }
    const client = await ground.connect({ topic, value: text() })
    const budget = new SharedBudget(1024 * 1024 * 1024)
    const readers = partitions.map((partition) =>
      client.read(0n, readOptions(topic, { key: { group: 'readers', stream: topic, partition }, budget })),
    )
    const watches = new AbortController()
    // One of each partition.
    setMaxListeners(0, watches.signal)
    const read = Promise.all(readers.map((reader, partition) => expectInOrder(reader, partition, 0, each)))
    const watching = partitions.map((partition) => client.waitForData(partition, BigInt(each * 3), watches.signal))
    await Promise.all([look(), client.bounds(partitions), client.partitions(), client.identity(0)])
    await Promise.all([read, look()])
    await look()
    // All of them wait at their ends now.
    const more = Promise.all(readers.map((reader, partition) => expectInOrder(reader, partition, each, each * 2)))
    await look()
    await write(each)
    await Promise.all([more, look()])

    const took: number[] = []
    const ends = readers.map((reader) => reader.next({ maxMessages: 10, waitMs: 30_000 }))
    for (const partition of [...partitions.filter((one) => one % 8 === 0), 3, 3, 3, 3, 5, 5]) {
      const sent = performance.now()
      void producer.send({ topic, messages: [{ partition, value: 'tail' }] })
      const chunk = await ends[partition]!
      took.push(performance.now() - sent)
      expect(chunk!.messages.map(({ value }) => value)).toEqual(['tail'])
      chunk!.release()
      ends[partition] = readers[partition]!.next({ maxMessages: 10, waitMs: 30_000 })
      await look()
    }
    took.sort((a, b) => a - b)
    console.log(
      `${most} connections; from send to one of ${count} readers: median ${took[took.length >> 1]!.toFixed(1)} ms, most ${took.at(-1)!.toFixed(1)} ms`,
    )
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(8)
    expect(took.at(-1)).toBeLessThan(5_000)
    watches.abort()
    await Promise.all([...readers.map((reader) => reader.close()), ...watching, ...ends])
  })
})

async function expectInOrder(reader: Reader<string>, partition: number, from: number, to: number): Promise<void> {
  const read: string[] = []
  while (read.length < to - from) {
    const chunk = await reader.next({ maxMessages: 7, waitMs: 60_000 })
    if (!chunk) throw new Error(`partition ${partition} brought ${read.length} messages`)
    for (const { value } of chunk.messages) read.push(value)
    chunk.release()
  }
  expect(read).toEqual(Array.from({ length: to - from }, (_, i) => `${partition}/${from + i}`))
}

/** This process's established connections to the brokers, by local port. */
async function connections(brokers: readonly string[]): Promise<ReadonlySet<string>> {
  const ports = new Set(brokers.map((broker) => Number(broker.slice(broker.lastIndexOf(':') + 1))))
  const own = new Set<string>()
  for (const table of ['tcp', 'tcp6']) {
    const lines = (await readFile(`/proc/self/net/${table}`, 'utf8').catch(() => '')).split('\n').slice(1)
    for (const line of lines) {
      const [, local, remote, state] = line.trim().split(/\s+/)
      if (state === '01' && ports.has(Number.parseInt(remote!.split(':')[1]!, 16))) own.add(local!)
    }
  }
  return own
}
