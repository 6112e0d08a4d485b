import { crc32 } from '@node-rs/crc32'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Delivered, Subscription } from '../../src/rabbitmq/client/link.js'
import { Fetcher } from '../../src/rabbitmq/source/fetcher.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { silentLog } from '../support/silent-log.js'

const fetchBytes = 2_000
/** What the broker keeps beside a message's bytes. */
const header = 48

/** A chunk of one message, as it comes from a broker whose last chunk is `committed`. */
function delivered(first: number, bytes: number, committed = first): Delivered {
  const data = Buffer.alloc(4 + bytes)
  data.writeUInt32BE(bytes)
  const chunk = Buffer.concat([Buffer.alloc(header), data])
  chunk[0] = 0x50
  chunk.writeUInt16BE(1, 2)
  chunk.writeUInt32BE(1, 4)
  chunk.writeBigUInt64BE(BigInt(first), 24)
  chunk.writeUInt32BE(crc32(data), 32)
  chunk.writeUInt32BE(data.length, 36)
  return { chunk, committed: BigInt(committed) }
}

/** A fetcher of a stream whose last chunk is `committed`, -1 where there is none, and which says what it asks for. */
function ground(budget: SharedBudget, committed: number, knownHead?: number) {
  const credits: number[] = []
  const subscriptions: Subscription[] = []
  const links = {
    settings: { host: 'broker', port: 5552 },
    nameOf: async () => 'orders-0',
    subscribe: async () => {
      const one = new Subscription(
        'orders-0',
        (chunks) => credits.push(chunks),
        async () => {},
        () => {},
      )
      subscriptions.push(one)
      return one
    },
  }
  const offsets = {
    chunks: async () => ({ first: committed < 0 ? -1n : 0n, committed: BigInt(committed) }),
    boundsOf: async () => ({ first: 0n, head: BigInt(committed + 1) }),
    knownHead: () => (knownHead === undefined ? undefined : BigInt(knownHead)),
  }
  const ended = new AbortController()
  const options = {
    key: { group: 'billing', stream: 'orders', partition: 0 },
    replay: 0,
    fetchBytes,
    budget,
    signal: ended.signal,
  }
  const incarnations = { of: async () => null }
  const fetcher = new Fetcher(links as never, offsets as never, incarnations as never, options, silentLog())
  return { fetcher, credits, deliver: (one: Delivered) => subscriptions.at(-1)!.deliver(one) }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

describe('a partition of a RabbitMQ stream', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('holds no memory while it waits at the tail, and what a chunk takes from when it is here', async () => {
    const budget = new SharedBudget(10_000)
    const { fetcher, credits, deliver } = ground(budget, -1)
    const first = fetcher.fetch(0n)
    await settle()
    expect([credits, budget.used]).toEqual([[1], 0])
    deliver(delivered(0, 100))
    const { loan } = (await first)!
    expect(budget.used).toBeGreaterThan(100)
    loan.release()
    expect(budget.used).toBe(0)
    // And so on.
    void fetcher.fetch(1n)
    await settle()
    expect([credits, budget.used]).toEqual([[1, 1], 0])
  })

  test('waits at the tail, too, where the broker has written notes of its own behind the last message', async () => {
    const budget = new SharedBudget(10_000)
    void ground(budget, 7, 3).fetcher.fetch(3n)
    await settle()
    expect(budget.used).toBe(0)
  })

  test('pays before it asks for what is in the log, and for nothing more once it has the last chunk', async () => {
    const budget = new SharedBudget(10_000)
    const { fetcher, credits, deliver } = ground(budget, 5)
    const first = fetcher.fetch(0n)
    await settle()
    expect(budget.used).toBe(fetchBytes)
    deliver(delivered(0, 10, 5))
    ;(await first)!.loan.release()
    const second = fetcher.fetch(1n)
    await settle()
    expect(budget.used).toBe(fetchBytes)
    expect(credits.at(-1)).toBeGreaterThan(5)
    deliver(delivered(1, 10, 1))
    ;(await second)!.loan.release()
    expect(budget.used).toBe(0)
  })

  test('gives back what it has paid for chunks that do not come', async () => {
    const budget = new SharedBudget(10_000)
    const { fetcher, deliver } = ground(budget, 5)
    const first = fetcher.fetch(0n)
    await settle()
    expect(budget.used).toBe(fetchBytes)
    await vi.advanceTimersByTimeAsync(200)
    expect(budget.used).toBe(0)
    deliver(delivered(0, 100))
    const { loan } = (await first)!
    expect(budget.used).toBeGreaterThan(100)
    loan.release()
    expect(budget.used).toBe(0)
  })

  test('gets its messages beside 69 others that wait at the tail, and one that holds all the memory', async () => {
    const budget = new SharedBudget(fetchBytes)
    const parts = Array.from({ length: 70 }, () => ground(budget, -1))
    const held = await budget.take(fetchBytes, new AbortController().signal)
    const fetched = parts.map(({ fetcher }) => fetcher.fetch(0n))
    await settle()
    for (const { deliver } of parts) deliver(delivered(0, 10))
    for (const one of await Promise.all(fetched)) one!.loan.release()
    held.release()
    expect(budget.used).toBe(0)
  })
})

test('a subscription that lingers takes what somebody waits for, and no more than its room of what nobody takes', async () => {
  const said: string[] = []
  const one = new Subscription(
    'orders-0',
    () => {},
    async () => {},
    () => said.push('unsubscribe'),
  )
  one.want(100, 10_000)
  one.linger(150)
  for (let offset = 0; offset < 10; offset++) {
    const next = one.next(new AbortController().signal)
    one.deliver(delivered(offset, 1_000))
    await next
  }
  expect(said).toEqual([])
  for (let offset = 10; offset < 20; offset++) {
    one.deliver(delivered(offset, 50))
    one.take()
  }
  expect(said).toEqual([])
  one.deliver(delivered(20, 50))
  one.deliver(delivered(21, 50))
  expect(said).toEqual(['unsubscribe'])
})
