import { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it } from 'vitest'
import type { HandlerContext } from '../../../src/handlers/handler.js'
import type { Message } from '../../../src/ports/index.js'
import { Handling } from '../../../src/testing/handling.js'
import { Life, WorkerKilled } from '../../../src/testing/life.js'
import { Work } from '../../../src/testing/work.js'

const never = new Promise<never>(() => {})
const clock = { now: async () => 1_000, advance: async () => {} }
const name = { group: 'billing', stream: 'orders' }

describe("a worker's life", () => {
  it('a killed worker reaches nothing any more', async () => {
    const life = new Life()
    class Store {
      readonly #stored = 5
      readonly parts = { count: async () => this.#stored }
      async read() {
        return this.#stored
      }
    }
    const store = life.severable(new Store())
    expect([await store.read(), await store.parts.count()]).toEqual([5, 5])
    life.kill()
    expect(() => store.read()).toThrow(WorkerKilled)
    expect(() => store.parts.count()).toThrow(WorkerKilled)
  })

  it('a handler of a killed worker fails at once, though it goes on', async () => {
    const life = new Life()
    const handling = new Handling()
    const { handle } = handling.observed({ kind: 'chunk', handle: () => never }, life)
    const called = (handle as (messages: readonly Message[], context: HandlerContext) => Promise<void>)(
      [],
      {} as HandlerContext,
    )
    life.kill()
    await expect(called).rejects.toThrow('the worker was killed')
    expect(handling.calls).toMatchObject([{ error: expect.any(WorkerKilled) }])
  })

  it('what it had in hand waits for its heartbeat timeout', async () => {
    const work = new Work(clock)
    const life = new Life()
    const { process } = work.around(life, { process: (_: object) => never })
    const running = new MockActivityEnvironment({ heartbeatTimeoutMs: 10_000 }).run(process, {
      name,
      partitions: [{ partition: 2 }],
    })
    expect(work.inHand).toBe(1)
    life.kill()
    await expect(running).rejects.toMatchObject({ nextRetryDelay: 10_000 })
    expect(work.inHand).toBe(0)
    expect([work.waits(name, 2, 10_999), work.waits(name, 2, 11_000), work.waits(name, 1, 10_999)]).toEqual([
      true,
      false,
      false,
    ])
  })
})

describe('failNext', () => {
  const call = async (handling: Handling, partition: number, group = 'billing') => {
    const { handle } = handling.observed({ kind: 'chunk', handle: () => {} }, new Life())
    const messages = [{ partition }] as unknown as Message[]
    const context = { group, stream: 'orders', partition, attempt: 1 } as HandlerContext
    return (handle as (messages: readonly Message[], context: HandlerContext) => Promise<void>)(messages, context)
  }

  it('fails so many calls, and only those that are meant', async () => {
    const handling = new Handling()
    handling.failNext(new Error('away'), { times: 2, where: ({ partition }) => partition === 1, group: 'billing' })
    await call(handling, 0)
    await call(handling, 1, 'mailing')
    await expect(call(handling, 1)).rejects.toThrow('away')
    await expect(call(handling, 1)).rejects.toThrow('away')
    await call(handling, 1)
    expect(handling.calls.map(({ error }) => error !== undefined)).toEqual([false, false, true, true, false])
  })
})
