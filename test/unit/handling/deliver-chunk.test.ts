import { describe, expect, it } from 'vitest'
import type { PlainHandler } from '../../../src/handlers/handler.js'
import { chunkOf, delivered, start } from '../../support/delivered.js'

const plain = (handle: PlainHandler) => ({ handler: { kind: 'chunk', handle } as const })

describe('a plain handler', () => {
  it('gets the messages first, and progress moves when it has returned', async () => {
    const seen: unknown[] = []
    const { deliver, position } = await delivered(
      plain(async (messages) => {
        seen.push(...messages.map(({ value }) => value), await position())
      }),
    )
    await deliver(chunkOf(['a', 'b'], 5n))
    expect(seen).toEqual(['a', 'b', start])
    expect(await position()).toBe(start + 7n)
  })

  it('is not called for a gap, behind which progress moves', async () => {
    let calls = 0
    const { deliver, position } = await delivered(plain(() => void calls++))
    await deliver(chunkOf([], 40n))
    expect(calls).toBe(0)
    expect(await position()).toBe(start + 40n)
  })

  it('moves nothing when it throws', async () => {
    const { deliver, position } = await delivered(
      plain(() => {
        throw new Error('no')
      }),
    )
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    expect(await position()).toBe(start)
  })

  it('learns that it is fenced when progress moves', async () => {
    const { deliver, position, outdo } = await delivered(plain(async () => void (await outdo())))
    await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'FENCED' })
    expect(await position()).toBe(start)
  })

  it('has its outputs acknowledged before progress moves', async () => {
    const during: bigint[] = []
    const { deliver, position, sent } = await delivered({
      ...plain((messages, { produce }) => {
        for (const { value } of messages) produce('out', { value: String(value) })
      }),
      send: () => void position().then((at) => during.push(at)),
    })
    await deliver(chunkOf(['a', 'b']))
    expect(sent.map(({ value }) => String(value))).toEqual(['a', 'b'])
    expect(during).toEqual([start])
    expect(await position()).toBe(start + 2n)
  })

  it('sends nothing when it throws', async () => {
    const { deliver, sent } = await delivered({
      ...plain((_, { produce }) => {
        produce('out', { value: 'a' })
        throw new Error('no')
      }),
      send: () => {},
    })
    await expect(deliver(chunkOf(['a']))).rejects.toThrow('no')
    expect(sent).toEqual([])
  })

  it('fails when a branch that it did not await produces while its outputs are sent: the message would be lost', async () => {
    let branch = Promise.resolve()
    const { deliver, position } = await delivered({
      ...plain((_, { produce }) => {
        produce('out', { value: 'a' })
        branch = new Promise((resolve) => setImmediate(resolve))
          .then(() => produce('late', { value: 'b' }))
          .catch(() => {})
      }),
      send: () => branch,
    })
    await expect(deliver(chunkOf(['a']))).rejects.toThrow(/produce\('late'\) came after its handler had returned/)
    expect(await position()).toBe(start)
  })

  describe('that commits by itself', () => {
    it('leaves progress alone until what it stored is committed', async () => {
      const { deliver, position, stored } = await delivered({
        ...plain((messages, { storeOffset }) => storeOffset(messages[0]!)),
        manual: true,
      })
      await deliver(chunkOf(['a', 'b']))
      expect(await position()).toBe(start)
      await stored!.flush()
      expect(await position()).toBe(start + 1n)
    })

    it('commits in the middle of a chunk', async () => {
      const seen: bigint[] = []
      const { deliver, position } = await delivered({
        ...plain(async (messages, { storeOffset, commit }) => {
          storeOffset(messages[0]!)
          await commit()
          seen.push(await position())
        }),
        manual: true,
      })
      await deliver(chunkOf(['a', 'b']))
      expect(seen).toEqual([start + 1n])
    })

    it('cannot store what waits for its outputs', async () => {
      const { deliver } = await delivered({
        ...plain((messages, { produce, storeOffset }) => {
          produce('out', { value: 'a' })
          storeOffset(messages[0]!)
        }),
        manual: true,
        send: () => {},
      })
      await expect(deliver(chunkOf(['a']))).rejects.toThrow('await flush() first')
    })

    it('loses the partition by a commit, which is no failure of its own', async () => {
      const { deliver, outdo, log } = await delivered({
        ...plain(async (messages, { storeOffset, commit }) => {
          await outdo()
          storeOffset(messages[0]!)
          await commit()
        }),
        manual: true,
      })
      await expect(deliver(chunkOf(['a']))).rejects.toMatchObject({ code: 'FENCED' })
      expect(log.lines).toEqual([])
    })
  })

  it.each(['storeOffset', 'commit'] as const)('has no %s where offsets are committed by themselves', async (name) => {
    const { deliver } = await delivered(plain(async (messages, context) => void (await context[name](messages[0]!))))
    await expect(deliver(chunkOf(['a']))).rejects.toThrow(`${name} needs the option commit: 'manual'`)
  })
})
