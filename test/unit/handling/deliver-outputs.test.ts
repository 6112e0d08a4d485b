import { describe, expect, it } from 'vitest'
import type { PlainHandler } from '../../../src/handlers/handler.js'
import { chunkOf, delivered, start } from '../../support/delivered.js'

const producing = (handle: PlainHandler) => delivered({ handler: { kind: 'chunk', handle }, transactional: true })
const copies: PlainHandler = (messages, { produce }) => {
  for (const { value } of messages) produce('out', { value: String(value) })
}

describe('a handler whose outputs and progress are one transaction', () => {
  it('has both when the transaction commits', async () => {
    const { deliver, position, sent } = await producing(copies)
    await deliver(chunkOf(['a', 'b'], 5n))
    expect(sent.map(({ value }) => String(value))).toEqual(['a', 'b'])
    expect(await position()).toBe(start + 7n)
  })

  it('has neither when it throws, also of what it flushed', async () => {
    const { deliver, position, sent } = await producing(async (messages, context) => {
      await copies(messages, context)
      await context.flush()
      throw new Error('no')
    })
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    expect(sent).toEqual([])
    expect(await position()).toBe(start)
  })

  it('has neither when another worker owns the partition', async () => {
    const { deliver, sent, outdo } = await producing(async (messages, context) => {
      await copies(messages, context)
      await outdo()
    })
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'FENCED' })
    expect(sent).toEqual([])
  })

  it('has neither when a key is text that UTF-8 can not say, since it would be another key', async () => {
    const { deliver, sent } = await producing((_, { produce }) => produce('out', { key: '\udc80', value: 'a' }))
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('take keyBytes'),
    })
    expect(sent).toEqual([])
  })

  it('is not called for a gap, behind which progress moves', async () => {
    let calls = 0
    const { deliver, position } = await producing(() => void calls++)
    await deliver(chunkOf([], 40n))
    expect(calls).toBe(0)
    expect(await position()).toBe(start + 40n)
  })
})
