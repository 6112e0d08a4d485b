import { describe, expect, test } from 'vitest'
import { type Delivered, Subscription } from '../../src/rabbitmq/client/link.js'
import { Window } from '../../src/rabbitmq/source/window.js'
import { SharedBudget } from '../../src/worker/budget.js'

const { signal } = new AbortController()
const chunk = (bytes: number): Delivered => ({ chunk: Buffer.alloc(bytes), committed: 0n })

function subscribed() {
  const said: string[] = []
  const subscription = new Subscription(
    'orders',
    (chunks) => said.push(`credit ${chunks}`),
    async () => {},
    () => said.push('unsubscribe'),
  )
  return { subscription, said }
}

describe('a subscription', () => {
  test('keeps the order of chunks, whether anybody waits for them or not', async () => {
    const { subscription, said } = subscribed()
    subscription.want(4, 1_000)
    const chunks = [chunk(1), chunk(2), chunk(3), chunk(4)]
    const waiting = subscription.next(signal)
    // In one go, as a socket brings them.
    for (const one of chunks.slice(0, 3)) subscription.deliver(one)
    const found = [await waiting, await subscription.next(signal), await subscription.next(signal)]
    const last = subscription.next(signal)
    subscription.deliver(chunks[3]!)
    expect([...found, await last]).toEqual(chunks)
    expect([subscription.idle, said]).toEqual([true, ['credit 4']])
  })

  test('takes no more than there is room for and one chunk, however many were asked for', async () => {
    const { subscription, said } = subscribed()
    subscription.want(10, 100)
    for (let i = 0; i < 5; i++) subscription.deliver(chunk(60))
    expect(said).toEqual(['credit 10', 'unsubscribe'])
    await subscription.next(signal)
    expect(subscription.spent).toBe(false)
    await subscription.next(signal)
    expect(subscription.spent).toBe(true)
    // Its number may be another subscription's by now.
    subscription.close()
    expect(said).toEqual(['credit 10', 'unsubscribe'])
  })

  test('gives nothing of a connection that broke, though it has arrived', async () => {
    const { subscription } = subscribed()
    subscription.want(2, 1_000)
    subscription.deliver(chunk(1))
    subscription.end(new Error('broken'))
    await expect(subscription.next(signal)).rejects.toThrow('broken')
  })
})

test('memory is held for what may still arrive and for what is not handled, and for nothing else', async () => {
  const budget = new SharedBudget(10_000)
  const window = new Window(await budget.take(1_000, signal), 1_000)
  expect(budget.used).toBe(1_000)
  const first = window.take(400, 900)
  expect(budget.used).toBe(600 + 900)
  const second = window.take(500, 50)
  expect(budget.used).toBe(100 + 950)
  window.end()
  expect(budget.used).toBe(950)
  first.release()
  first.release()
  expect(budget.used).toBe(50)
  second.release()
  expect(budget.used).toBe(0)
})
