import type { Client } from 'rabbitmq-stream-js-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { rabbitmq, text } from '../../src/entry/rabbitmq.js'
import type { ByteBudget, SourceClient } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { describeWith, part } from '../support/parts.js'
import { rabbitmqClient } from '../support/rabbitmq-ground.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'

describeWith(['rabbitmq'], 'RabbitMQ chunks', () => {
  const stream = unique('chunks')
  const reading = new AbortController()
  let client: Client
  let source: SourceClient<string>

  beforeEach(async () => {
    client = await rabbitmqClient()
    await client.createStream({ stream, arguments: {} })
    const { signal } = reading
    source = await rabbitmq({ url: part('rabbitmq').url, stream, value: text() }).connect({ log: silentLog(), signal })
  })
  afterEach(async () => {
    await source.close()
    await client.deleteStream({ stream })
    await client.close()
  })

  /** One chunk each: the broker puts into one what comes together. */
  async function chunksOf(values: readonly string[]): Promise<void> {
    const publisher = await client.declarePublisher({ stream, maxChunkLength: 1 })
    let confirmed = () => {}
    publisher.on('publish_confirm', () => confirmed())
    for (const value of values) {
      const written = new Promise<void>((resolve) => {
        confirmed = resolve
      })
      await publisher.send(Buffer.from(value))
      await written
    }
    await publisher.close()
  }

  /** Reads all and gives everything back at once; returns the calls it took. */
  async function read(expected: readonly string[], budget: ByteBudget, fetchBytes: number): Promise<number> {
    const key = { group: unique('group'), stream, partition: 0 }
    const reader = source.read(0n, { key, replay: 0, fetchBytes, budget, signal: reading.signal })
    const found: string[] = []
    let calls = 0
    while (found.length < expected.length) {
      const chunk = await reader.next({ maxMessages: 1_000, waitMs: 20_000 })
      expect(chunk).not.toBeNull()
      expect(chunk!.messages.map(({ offset }) => Number(offset))).toEqual(
        chunk!.messages.map((_, index) => found.length + index),
      )
      for (const { value } of chunk!.messages) found.push(value)
      chunk!.release()
      calls++
    }
    await reader.close()
    expect(found).toEqual(expected)
    return calls
  }

  test('many small ones are handed out together, in their order', async () => {
    const values = Array.from({ length: 200 }, (_, number) => `m${number}`)
    await chunksOf(values)
    const budget = new SharedBudget(1_000_000)
    expect(await read(values, budget, 100_000)).toBeLessThan(100)
    expect(budget.used).toBe(0)
  })

  test('large ones behind small ones take no more memory than there is, and none is lost or read twice', async () => {
    const small = Array.from({ length: 20 }, (_, number) => `m${number}`)
    const large = Array.from({ length: 40 }, (_, number) => `m${number}`.padEnd(100_000, '.'))
    await chunksOf([...small, ...large, ...small])
    const [budget, fetchBytes] = [new SharedBudget(1_000_000), 250_000]
    let most = 0
    const watched: ByteBudget = {
      take: async (bytes, signal) => {
        const loan = await budget.take(bytes, signal)
        most = Math.max(most, budget.used)
        const resize = (to: number) => {
          loan.resize(to)
          most = Math.max(most, budget.used)
        }
        return { resize, release: () => loan.release() }
      },
    }
    await read([...small, ...large, ...small], watched, fetchBytes)
    // What is being fetched, what is handed out, and one chunk that nobody could foresee.
    expect(most).toBeLessThan(2 * fetchBytes + 110_000)
    expect(budget.used).toBe(0)
  })
})
