import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HandlerContext } from '../../../src/handlers/handler.js'
import { chunkOf, delivered, start } from '../../support/delivered.js'
import { virtualTime, working } from '../../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass } = virtualTime

const never = () => new Promise<void>(() => {})
const message =
  'the handler of group billing was not done with the chunk of orders[3] at offset 10 within 5000 ms (chunkTimeout); ' +
  'the chunk was rolled back and is handled again'

describe('chunkTimeout', () => {
  it.each(['chunk', 'transactional'] as const)('ends a %s whose handler never settles, and tells it', async (kind) => {
    const signals: AbortSignal[] = []
    const handle = (_: unknown, { signal }: HandlerContext) => {
      signals.push(signal)
      return never()
    }
    const { deliver, log, position, written } = await delivered({ handler: { kind, handle }, timeoutMs: 5_000 })
    const failed = deliver(chunkOf(['a'])).catch((error: unknown) => error)
    await pass(4_999)
    expect(signals[0]?.aborted).toBe(false)
    await pass(1)
    expect(signals[0]?.aborted).toBe(true)
    expect(await failed).toMatchObject({ code: 'CHUNK_TIMEOUT', message, effect: 'retry' })
    expect(log.lines).toMatchObject([{ level: 'warn', message }])
    expect([await position(), written]).toEqual([start, []])
  })

  it('leaves a handler alone that is done in time, and holds no timer for it then', async () => {
    const signals: AbortSignal[] = []
    const handle = (_: unknown, { signal }: HandlerContext) => {
      signals.push(signal)
      return working(4_000)
    }
    const { deliver, position } = await delivered({ handler: { kind: 'chunk', handle }, timeoutMs: 5_000 })
    const done = deliver(chunkOf(['a']))
    await pass(4_000)
    await done
    expect([await position(), vi.getTimerCount()]).toEqual([start + 1n, 0])
    await pass(10_000)
    expect(signals[0]?.aborted).toBe(false)
  })

  it('hears of the end of the worker before its time is over', async () => {
    const { deliver, worker } = await delivered({ handler: { kind: 'chunk', handle: never }, timeoutMs: 5_000 })
    const failed = deliver(chunkOf(['a']))
    worker.abort()
    await expect(failed).rejects.toThrow('the worker stopped before the handler was done')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is off by default', async () => {
    const { deliver, worker } = await delivered({ handler: { kind: 'chunk', handle: never } })
    const failed = deliver(chunkOf(['a'])).catch((error: unknown) => error)
    await pass(86_400_000)
    worker.abort()
    expect(await failed).toMatchObject({ code: 'HANDLER_FAILED' })
  })
})
