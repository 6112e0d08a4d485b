import { describe, expect, it } from 'vitest'
import type { TransactionalFunction } from '../../../src/handlers/handler.js'
import type { MemoryTransaction } from '../../../src/memory/store/transaction.js'
import type { Transaction } from '../../../src/ports/index.js'
import { chunkOf, delivered, start } from '../../support/delivered.js'

const inTransaction = (handle: TransactionalFunction) => ({ handler: { kind: 'transactional', handle } as const })
const write = ({ client }: Transaction, value: unknown) => (client as MemoryTransaction).write(value)
const keeps: TransactionalFunction = (messages, { tx }) => {
  for (const { value } of messages) write(tx, value)
}
/** Leaves out these values. */
const without = (...known: unknown[]) => ({
  dedupe: {
    admit: async (_tx: unknown, _place: unknown, messages: readonly { value: unknown }[]) =>
      messages.filter(({ value }) => !known.includes(value)) as never,
  },
})

describe('a transactional handler', () => {
  it('has its writes and progress together', async () => {
    const { deliver, position, written } = await delivered(inTransaction(keeps))
    await deliver(chunkOf(['a', 'b'], 5n))
    expect(written).toEqual(['a', 'b'])
    expect(await position()).toBe(start + 7n)
  })

  it('has neither when it throws', async () => {
    const { deliver, position, written } = await delivered(
      inTransaction(async (messages, context) => {
        await keeps(messages, context)
        throw new Error('no')
      }),
    )
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    expect(written).toEqual([])
    expect(await position()).toBe(start)
  })

  it('has neither when another worker owns the partition', async () => {
    const { deliver, written, outdo } = await delivered(
      inTransaction(async (messages, context) => {
        await keeps(messages, context)
        await outdo()
      }),
    )
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'FENCED' })
    expect(written).toEqual([])
  })

  it('is named with its messages when the transaction fails after it has returned', async () => {
    const { deliver, position } = await delivered(
      inTransaction(async (_, { tx }) => void (await tx.query('select 1').catch(() => {}))),
    )
    await expect(deliver(chunkOf(['a', 'b']))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining(
        'group billing failed at orders[3] offsets 10 to 11: a memory store knows no SQL',
      ),
    })
    expect(await position()).toBe(start)
  })

  it('is not called for a gap, behind which progress moves', async () => {
    let calls = 0
    const { deliver, position } = await delivered(inTransaction(() => void calls++))
    await deliver(chunkOf([], 40n))
    expect(calls).toBe(0)
    expect(await position()).toBe(start + 40n)
  })

  it('gets the messages that dedupe admits', async () => {
    const { deliver, position, written } = await delivered({ ...inTransaction(keeps), ...without('b') })
    await deliver(chunkOf(['a', 'b', 'c']))
    expect(written).toEqual(['a', 'c'])
    expect(await position()).toBe(start + 3n)
  })

  it('is not called for a chunk whose messages are all left out, behind which progress moves', async () => {
    let calls = 0
    const { deliver, position } = await delivered({ ...inTransaction(() => void calls++), ...without('a', 'b') })
    await deliver(chunkOf(['a', 'b']))
    expect(calls).toBe(0)
    expect(await position()).toBe(start + 2n)
  })

  it('is let go while dedupe waits for another transaction', async () => {
    const { deliver, worker } = await delivered({
      ...inTransaction(keeps),
      dedupe: { admit: () => new Promise(() => worker.abort()) },
    })
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('orders[3] offset 10: the worker stopped before the handler was done'),
    })
  })

  it('is told that its transactions have no outbox', async () => {
    const { deliver } = await delivered(inTransaction((_, { outbox }) => outbox('events', [])))
    await expect(deliver(chunkOf(['a']))).rejects.toThrow('context.outbox needs a handler that writes to a Postgres')
  })

  describe('that commits by itself', () => {
    it('moves progress with its transaction, to what it stored', async () => {
      const { deliver, position, written } = await delivered({
        ...inTransaction(async (messages, context) => {
          await keeps(messages, context)
          context.storeOffset(messages[0]!)
        }),
        manual: true,
      })
      await deliver(chunkOf(['a', 'b']))
      expect(written).toEqual(['a', 'b'])
      expect(await position()).toBe(start + 1n)
    })

    it('leaves progress in front of a gap to the next commit', async () => {
      const { deliver, position, stored } = await delivered({ ...inTransaction(keeps), manual: true })
      await deliver(chunkOf([], 40n))
      expect(await position()).toBe(start)
      await stored!.flush()
      expect(await position()).toBe(start + 40n)
    })
  })
})
