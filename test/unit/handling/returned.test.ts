import { describe, expect, it } from 'vitest'
import type { PlainHandler, TransactionalFunction } from '../../../src/handlers/handler.js'
import type { MemoryTransaction } from '../../../src/memory/store/transaction.js'
import { chunkOf, delivered, start } from '../../support/delivered.js'

const rejecting = () => {
  throw new Error('looked at')
}
const hostile = new Proxy({}, { get: () => rejecting(), has: () => rejecting() })

describe('a handler that returns', () => {
  it.each<[string, () => unknown, string]>([
    ['a function', () => () => {}, 'a function, which was not called'],
    [
      'a generator object',
      () =>
        (function* () {
          yield 1
        })(),
      'an iterator, as a generator does, and its body has not run',
    ],
    ['an async generator object', () => (async function* () {})(), 'an iterator, as a generator does'],
    ['a number', () => 3, 'a number'],
    ['null', () => null, 'null'],
    ['a list', () => [1], 'an array, and'],
    ['promises', () => [Promise.resolve()], 'an array of promises, which were not awaited'],
    ['rows, later', () => Promise.resolve({ rows: ['SECRET'] }), 'an object'],
    ['what throws when it is looked at', async () => () => hostile, 'a function'],
  ])('%s stops before progress moves, for good', async (_, returned, words) => {
    const { deliver, position, sent } = await delivered({
      handler: {
        kind: 'chunk',
        handle: ((_, { produce }) => {
          produce('out', { value: 'a' })
          return returned()
        }) as PlainHandler,
      },
      send: () => {},
    })
    const failed: unknown = await deliver(chunkOf(['a', 'b'])).catch((error: unknown) => error)
    expect(failed).toMatchObject({
      code: 'HANDLER_MISTAKEN',
      effect: 'stop',
      place: { group: 'billing', offset: '10' },
    })
    expect(String(failed)).toContain(
      `the handler of group billing was stopped at orders[3] offset 10: it returned ${words}`,
    )
    expect(String(failed)).toContain('Tidemark expects nothing, or a promise of nothing')
    expect(String(failed)).not.toContain('SECRET')
    expect(await position()).toBe(start)
    expect(sent).toEqual([])
  })

  it('something inside a transaction has written nothing', async () => {
    const handle: TransactionalFunction = (_, { tx }) => {
      const client = tx.client as MemoryTransaction
      client.write('a')
      return [1] as never
    }
    const { deliver, position, written } = await delivered({
      handler: { kind: 'transactional', handle },
    })
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'HANDLER_MISTAKEN' })
    expect(await position()).toBe(start)
    expect(written).toEqual([])
  })

  it.each<[string, PlainHandler]>([
    ['nothing', () => {}],
    ['a promise of nothing', async () => {}],
  ])('%s moves progress', async (_, handle) => {
    const { deliver, position } = await delivered({ handler: { kind: 'chunk', handle } })
    await deliver(chunkOf(['a', 'b']))
    expect(await position()).toBe(12n)
  })
})
