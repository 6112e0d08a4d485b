import type { Transaction } from 'kafkajs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { text } from '../../src/entry/kafka.js'
import { javaReads, KafkaGround, readOptions, readTo } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'transactions on a real broker', () => {
  let ground: KafkaGround

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
  })
  afterEach(() => ground.close())

  it('overlap as they like: exactly the committed messages come, as the Java consumer sees them', async () => {
    const topic = await ground.topic()
    const plain = await ground.producer()
    const producers = await Promise.all([0, 1, 2, 3].map(() => ground.producer(unique('tx'))))
    const committed: string[] = []
    for (let round = 0; round < 12; round++) {
      // All of them are open at the same time, and end in another order than they began.
      const open = await Promise.all(producers.map((producer) => producer.transaction()))
      const written = open.map((): string[] => [])
      for (let step = 0; step < 3; step++)
        for (const [which, transaction] of open.entries()) {
          const values = [0, 1].map((i) => `tx${which} round ${round} step ${step} ${i}`)
          await transaction.send({ topic, messages: values.map((value) => ({ key: `tx${which}`, value })) })
          written[which]!.push(...values)
        }
      const value = `plain ${round}`
      await plain.send({ topic, messages: [{ key: 'plain', value }] })
      committed.push(value)
      for (const which of [2, 0, 3, 1]) {
        const commit = (round + which) % 3 !== 0
        await (commit ? open[which]!.commit() : open[which]!.abort())
        if (commit) committed.push(...written[which]!)
      }
    }

    const client = await ground.connect({ topic, value: text() })
    // The coordinator writes the markers once it has answered: four a round beside its messages.
    const head = BigInt(12 * (4 * 3 * 2 + 1 + 4))
    await waitFor(async () => (await client.bounds([0])).get(0)!.head === head, { what: 'the last marker' })
    for (const fetchBytes of [100, 2_000, 1024 * 1024]) {
      const { messages, position } = await readTo(client, topic, { fetchBytes })
      expect(messages.map(({ value }) => value).sort()).toEqual([...committed].sort())
      expect(position).toBe(head)
    }
    const { home, brokers } = part('kafka')
    const { messages } = await readTo(client, topic)
    expect(messages.map(({ offset, key, value }) => `Offset:${offset}\t${key}\t${value}`)).toEqual(
      await javaReads(home, brokers[0]!, topic, 'read_committed'),
    )
    const uncommitted = await ground.connect({ topic, value: text(), readUncommitted: true })
    const { messages: all } = await readTo(uncommitted, topic)
    expect(all).toHaveLength(12 * (4 * 3 * 2 + 1))
  })

  it('still open hold the reader back, and their end sets it going', async () => {
    const topic = await ground.topic()
    const plain = await ground.producer()
    const transactional = await ground.producer(unique('tx'))
    await plain.send({ topic, messages: [{ value: 'before' }] })
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: [{ value: 'inside' }] })
    await plain.send({ topic, messages: [{ value: 'behind' }] })

    const client = await ground.connect({ topic, value: text() })
    const reader = client.read(0n, readOptions(topic))
    const first = await reader.next({ maxMessages: 10, waitMs: 10_000 })
    expect(first!.messages.map(({ value }) => value)).toEqual(['before'])
    expect(first!.next).toBe(1n)
    expect(first!.head).toBe(3n)
    const next = reader.next({ maxMessages: 10, waitMs: 10_000 })
    const waiting = client.waitForData(0, 1n, AbortSignal.timeout(10_000))
    const early = await Promise.race([next, waiting, timeFor(client, 1n)])
    expect(early).toBe(false)
    await transaction.commit()
    expect(await waiting).toBe(true)
    expect((await next)!.messages.map(({ value }) => value)).toEqual(['inside', 'behind'])
    await reader.close()
  })

  it.each(['commit', 'abort'] as const)(
    'still open in front of a start at the head, and ended by %s, are neither a busy loop nor missed',
    async (end) => {
      const topic = await ground.topic()
      const plain = await ground.producer()
      const transaction = await (await ground.producer(unique('tx'))).transaction()
      await transaction.send({ topic, messages: [{ value: 'inside' }] })

      const client = await ground.connect({ topic, value: text() })
      const from = await client.resolve(0, 'next')
      expect(from).toBe(1n)
      const reader = client.read(from, readOptions(topic))
      const next = reader.next({ maxMessages: 10, waitMs: 20_000 })
      const waiting = client.waitForData(0, from, AbortSignal.timeout(20_000))
      const before = process.cpuUsage()
      const started = performance.now()
      await waitFor(() => performance.now() - started > 1_500, { what: 'time to pass' })
      const { user, system } = process.cpuUsage(before)
      console.log(`held back for 1.5 s: ${Math.round((user + system) / 1000)} ms of CPU`)
      expect((user + system) / 1000).toBeLessThan(1_000)
      await plain.send({ topic, messages: [{ value: 'behind' }] })
      await endOf(transaction, end)
      expect(await waiting).toBe(true)
      const values: (string | null)[] = []
      let chunk = await next
      while (chunk && values.length === 0) {
        values.push(...chunk.messages.map(({ value }) => value))
        chunk = values.length > 0 ? null : await reader.next({ maxMessages: 10, waitMs: 10_000 })
      }
      expect(values).toEqual(['behind'])
      await reader.close()
    },
  )
})

function endOf(transaction: Transaction, end: 'commit' | 'abort'): Promise<void> {
  return end === 'commit' ? transaction.commit() : transaction.abort()
}

/** False after three long polls' time: nothing woke up meanwhile. */
async function timeFor(
  client: { waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> },
  position: bigint,
): Promise<boolean> {
  return client.waitForData(0, position, AbortSignal.timeout(1_600))
}
