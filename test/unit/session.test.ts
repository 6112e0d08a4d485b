import type { Client } from '@temporalio/client'
import { beforeEach, describe, expect, it } from 'vitest'
import { inSession, Session } from '../../src/client/session.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import type { OffsetStore, Source } from '../../src/ports/index.js'

describe('a session', () => {
  /** What happened, in its order. */
  let happened: string[]
  /** Parts that can't be opened now. */
  let missing: Set<string>

  beforeEach(() => {
    happened = []
    missing = new Set()
  })

  /** A part that notes what is done to it. */
  const part = (name: string) => ({
    kind: name,
    describe: { name },
    connect: async () => {
      happened.push(`open ${name}`)
      if (missing.has(name)) throw new Error(`${name} is gone`)
      return {
        migrate: async () => {},
        close: async () => {
          happened.push(`close ${name}`)
        },
      }
    },
  })
  const config = () => {
    const store = { ...part('store'), database: part('database') } as unknown as OffsetStore
    const reads = (stream: string) =>
      consumer({ group: 'bank', source: { ...part(stream), stream } as unknown as Source, handler: () => {} })
    return defineConfig({ store, consumers: [reads('orders'), reads('payments')] })
  }
  const session = () =>
    new Session(
      parseConfig(config(), {}),
      async () => ({ connection: await part('Temporal').connect() }) as unknown as Client,
    )

  it('opens nothing that is not asked for', async () => {
    await session().close()
    expect(happened).toEqual([])
  })

  it('opens each part once, also for those who ask at the same time, and closes the last one first', async () => {
    const one = session()
    const [orders] = one.config.consumers
    const [first, second] = await Promise.all([one.store(), one.store()])
    expect(second).toBe(first)
    expect(await one.source(orders!)).toBe(await one.source(orders!))
    expect(await one.temporal()).toBe(await one.temporal())
    await one.close()
    expect(happened).toEqual([
      'open store',
      'open orders',
      'open Temporal',
      'close Temporal',
      'close orders',
      'close store',
    ])
  })

  it('opens the stream of each consumer', async () => {
    const one = session()
    for (const each of one.config.consumers) await one.source(each)
    await one.close()
    expect(happened).toEqual(['open orders', 'open payments', 'close payments', 'close orders'])
  })

  it('tries again to open what could not be opened', async () => {
    const one = session()
    missing.add('store')
    await expect(one.store()).rejects.toThrow('store is gone')
    missing.clear()
    await one.store()
    await one.close()
    expect(happened).toEqual(['open store', 'open store', 'close store'])
  })

  it('closes what is still being opened', async () => {
    const one = session()
    void one.store()
    await one.close()
    expect(happened).toEqual(['open store', 'close store'])
  })

  it('closes what it has opened when its use fails', async () => {
    const used = inSession(config(), async (one) => {
      await one.store()
      throw new Error('used up')
    })
    await expect(used).rejects.toThrow('used up')
    expect(happened).toEqual(['open store', 'close store'])
  })
})
