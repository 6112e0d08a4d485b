import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { HandlerContext, PlainHandler } from '../../../src/handlers/handler.js'
import { TidemarkError } from '../../../src/model/errors.js'
import { chunkOf, delivered, key, start } from '../../support/delivered.js'

const plain = (handle: PlainHandler) => ({ handler: { kind: 'chunk', handle } as const })
const throwing = (thrown: unknown) =>
  plain(() => {
    throw thrown
  })

const unreadable = () =>
  Object.defineProperty(new Error('hidden'), 'message', {
    get: () => {
      throw new Error('from the getter')
    },
  })
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describe('what a handler throws', () => {
  it.each<[string, () => unknown, string]>([
    ['an error', () => new Error('no rows'), 'no rows'],
    ['an error with a name', () => new TypeError('not a function'), 'TypeError: not a function'],
    ['several errors', () => new AggregateError([new Error('one'), new Error('two')]), 'AggregateError: one; two'],
    ['text', () => 'plain text', 'plain text'],
    ['empty text', () => '', "it threw ''"],
    ['undefined', () => undefined, 'it threw undefined'],
    ['null', () => null, 'it threw null'],
    ['a number', () => 42, 'it threw 42'],
    ['a symbol', () => Symbol('x'), 'it threw Symbol(x)'],
    ['a function', () => () => {}, 'it threw a function'],
    ['an object like an error', () => ({ message: 'from elsewhere' }), 'from elsewhere'],
    ['an object without a message', () => ({ status: 500 }), 'it threw an object without a message'],
    ['an object without a prototype', () => Object.create(null), 'it threw an object without a message'],
    ['an error whose message throws', unreadable, 'it threw something whose text cannot be read'],
    ['a proxy that is no more', revoked, 'it threw something whose text cannot be read'],
  ])('is a failure of the messages: %s', async (_, make, text) => {
    const { deliver, log } = await delivered(
      plain(() => {
        throw make()
      }),
    )
    const failed: unknown = await deliver(chunkOf(['a', 'b'])).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(TidemarkError)
    const message = `the handler of group billing failed at orders[3] offsets 10 to 11: ${text}`
    expect(failed).toMatchObject({ code: 'HANDLER_FAILED', message, place: { ...key, offset: '10' } })
    expect((failed as Error).cause).toBeUndefined()
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({ level: 'warn', message, fields: { ...key, attempt: 1 } })
  })

  it('is the same when it comes later', async () => {
    const { deliver } = await delivered(plain(() => Promise.reject(undefined)))
    await expect(deliver(chunkOf(['a']))).rejects.toThrow('orders[3] offset 10: it threw undefined')
  })

  it("shows no part of itself under errors: 'private'", async () => {
    const { deliver, log } = await delivered({ ...throwing(new RangeError('no number: SENTINEL')), errors: 'private' })
    const failed: unknown = await deliver(chunkOf(['a', 'b'])).catch((error: unknown) => error)
    expect(String(failed)).toMatch(
      /orders\[3\] offsets 10 to 11: RangeError, error id [0-9a-f]{8}: see the worker's log$/,
    )
    expect((failed as Error).stack).not.toContain('SENTINEL')
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]!.fields).toMatchObject({ error: { message: 'no number: SENTINEL' } })
  })

  it.each(['FENCED', 'OUTPUT_FAILED'])('is a failure of the handler where it only looks like %s', async (code) => {
    const { deliver } = await delivered({ ...throwing(new TidemarkError(code as 'FENCED', 'no')), errors: 'private' })
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
  })

  it('is logged with the place in the code that it came from', async () => {
    const { deliver, log } = await delivered(throwing(new Error('no')))
    await deliver(chunkOf(['a'])).catch(() => {})
    const { at } = log.lines[0]!.fields as { at: string[] }
    expect(at[0]).toContain('run-handler.test.ts')
  })

  it('stays a failure of the output where it is one, named by group and place', async () => {
    const refusal = new TidemarkError('OUTPUT_FAILED', "topic 'out' refuses the record")
    const { deliver, log, position } = await delivered({
      ...plain((_, { produce }) => produce('out', { value: 'a' })),
      send: () => {
        throw refusal
      },
    })
    const message = "group billing at orders[3] offset 10 and behind: topic 'out' refuses the record"
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'OUTPUT_FAILED', message })
    expect(log.lines.map(({ message }) => message)).toEqual([message])
    expect(await position()).toBe(start)
  })

  it("says nothing of its topic under errors: 'private' where it is a failure of the output", async () => {
    const { deliver } = await delivered({
      ...plain((_, { produce }) => produce('SENTINEL', { value: 'a' })),
      send: () => {
        throw new TidemarkError('OUTPUT_FAILED', "topic 'SENTINEL' refuses the record")
      },
      errors: 'private',
    })
    const text = 'group billing at orders\\[3\\] offset 10 and behind: TidemarkError \\(code OUTPUT_FAILED\\), error id'
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(new RegExp(`^${text} [0-9a-f]{8}: see the worker's log$`)),
    })
  })
})

describe('a handler that is let go', () => {
  it.each([
    ['worker', 'the worker stopped before the handler was done'],
    ['partition', 'the partition was taken back before the handler was done'],
  ] as const)('by its %s fails, and sees it by its signal', async (by, text) => {
    let signal: AbortSignal | undefined
    const parts = await delivered(
      plain((_, context) => {
        signal = context.signal
        return new Promise(() => parts[by].abort())
      }),
    )
    await expect(parts.deliver(chunkOf(['a']))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining(`orders[3] offset 10: ${text}`),
    })
    expect(signal!.aborted).toBe(true)
    expect(await parts.position()).toBe(start)
  })

  it('leaves nothing with the signals of its worker and its partition, chunk after chunk, whatever it listens to', async () => {
    const signals = new Set<AbortSignal>()
    const { deliver, worker, partition } = await delivered({
      ...plain((_, { signal }) => {
        signals.add(signal)
        signal.addEventListener('abort', () => {})
        throw new Error('no')
      }),
    })
    for (let time = 0; time < 20; time++) await deliver(chunkOf(['a'])).catch(() => {})
    expect(signals.size).toBe(20)
    expect([worker, partition].map(({ signal }) => getEventListeners(signal, 'abort'))).toEqual([[], []])
  })

  it('sends nothing any more', async () => {
    let context: HandlerContext | undefined
    let goOn = () => {}
    const { deliver, partition, sent } = await delivered({
      ...plain(async (_, given) => {
        context = given
        given.produce('out', { value: 'a' })
        partition.abort()
        await new Promise<void>((resolve) => {
          goOn = resolve
        })
      }),
      send: () => {},
    })
    await expect(deliver(chunkOf(['a']))).rejects.toThrow('was taken back')
    await expect(context!.flush()).rejects.toThrow('given up')
    expect(() => context!.produce('out', { value: 'b' })).toThrow('after its handler had returned')
    goOn()
    await new Promise(setImmediate)
    expect(sent).toEqual([])
  })
})

describe('produce', () => {
  it('is an error after the handler has returned', async () => {
    let context: HandlerContext | undefined
    const { deliver, sent } = await delivered({
      ...plain((_, given) => {
        context = given
      }),
      send: () => {},
    })
    await deliver(chunkOf(['a']))
    expect(() => context!.produce('out', { value: 'late' })).toThrow(
      "produce('out') came after its handler had returned",
    )
    expect(sent).toEqual([])
  })

  it('is an error while what the handler produced is being sent', async () => {
    let context: HandlerContext | undefined
    let problem: unknown
    const { deliver, sent } = await delivered({
      ...plain((_, given) => {
        context = given
        given.produce('out', { value: 'a' })
      }),
      send: () => {
        try {
          context!.produce('out', { value: 'late' })
        } catch (error) {
          problem = error
        }
      },
    })
    await expect(deliver(chunkOf(['a']))).rejects.toThrow('after its handler had returned')
    expect(String(problem)).toContain('after its handler had returned')
    expect(sent).toHaveLength(1)
  })

  it('is an error without an output, and says how to have one', async () => {
    const { deliver } = await delivered(plain((_, { produce }) => produce('out', { value: 'a' })))
    await expect(deliver(chunkOf(['a']))).rejects.toThrow(
      'produce() needs an output: give the consumer of group billing one',
    )
  })
})
