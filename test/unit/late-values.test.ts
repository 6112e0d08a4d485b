import { createHook } from 'node:async_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { UserFailure } from '../../src/model/errors.js'
import { Undecodable } from '../../src/model/undecodable.js'
import type { Chunk, Message } from '../../src/ports/index.js'
import { chunkDecoder } from '../../src/reading/chunk-decoder.js'
import { decodingOf } from '../../src/reading/late-value.js'
import { ReadMessage } from '../../src/reading/message.js'
import { json, text, type ValueOption } from '../../src/reading/value.js'

const origin = { group: 'billing', stream: 'orders', partition: 3, replay: 0 }
const goesOn = new AbortController().signal

/** Reads a chunk of as many values as a log's reader does, from offset 5 on. */
function read<V>(values: readonly string[], value: ValueOption<V>, decodeConcurrency = 16) {
  const decoder = chunkDecoder(decodingOf(value, { decodeConcurrency, decodeTimeoutMs: 30_000 }))
  const info = { group: 'billing', stream: 'orders', partition: 3, offset: 5n }
  const messages = values.map((raw) => {
    const message = new ReadMessage(
      origin,
      info.offset,
      0,
      Buffer.from('k'),
      decoder.decode(Buffer.from(raw), info),
      [],
    )
    info.offset++
    return message
  })
  const release = vi.fn()
  const next = 5n + BigInt(values.length)
  const raw = ({ offset, timestamp, keyBytes: key }: Message<V>) => {
    const value = Buffer.from(values[Number(offset) - 5]!)
    return { offset, timestamp, key, value, headers: [] }
  }
  const whole: Chunk<V> = { from: 5n, next, messages, bytes: 100, head: 99n, witness: 'behind it', raw, release }
  return { whole, chunk: decoder.finish(whole), release }
}

/** A decoder whose promises are settled by hand. */
function byHand() {
  const began: string[] = []
  const ends = new Map<string, { resolve: (value: string) => void; reject: (error: unknown) => void }>()
  const decode = (bytes: Buffer) => {
    const raw = String(bytes)
    began.push(raw)
    return new Promise<string>((resolve, reject) => ends.set(raw, { resolve, reject }))
  }
  const of = (raw: string) => ends.get(raw)!
  return {
    began,
    decode,
    give: (raw: string) => of(raw).resolve(raw.toUpperCase()),
    fail: (raw: string, error: unknown) => of(raw).reject(error),
  }
}

const valuesOf = (chunk: Chunk | null) => chunk!.messages.map(({ value }) => value)

describe('values of an asynchronous decoder', () => {
  afterEach(() => void vi.useRealTimers())

  it('stand in their messages in the order of the log, whichever came first', async () => {
    const { decode, give } = byHand()
    const { chunk, whole } = read(['a', 'b', 'c'], decode)
    const settled = chunk.settle!(goesOn)
    for (const raw of ['c', 'a', 'b']) {
      give(raw)
      await turn()
    }
    expect(await settled).toBe(whole)
    expect(valuesOf(whole)).toEqual(['A', 'B', 'C'])
  })

  it('are decoded a bounded number at a time, and one at the most before the chunk has its turn', async () => {
    const { began, decode, give } = byHand()
    const { chunk } = read(['a', 'b', 'c', 'd'], decode, 2)
    expect(began).toEqual(['a'])
    const settled = chunk.settle!(goesOn)
    expect(began).toEqual(['a', 'b'])
    give('b')
    await turn()
    expect(began).toEqual(['a', 'b', 'c'])
    give('a')
    await turn()
    expect(began).toEqual(['a', 'b', 'c', 'd'])
    give('c')
    give('d')
    expect(valuesOf(await settled)).toEqual(['A', 'B', 'C', 'D'])
  })

  it('are told their own place, though the reader reuses its object', async () => {
    const { chunk } = read(['a', 'b', 'c'], async (bytes, { offset }) => `${bytes}${offset}`)
    expect(valuesOf(await chunk.settle!(goesOn))).toEqual(['a5', 'b6', 'c7'])
  })

  it('may be mixed with values that are there at once', async () => {
    const { chunk } = read<string>(['a', 'b', 'c'], (bytes) =>
      String(bytes) === 'b' ? Promise.resolve('B') : `${bytes}`,
    )
    expect(valuesOf(await chunk.settle!(goesOn))).toEqual(['a', 'B', 'c'])
  })

  it('may be of any thing that can be awaited, and come from json() as well', async () => {
    const awaitable = Object.fromEntries([['then', (done: (value: string) => void) => done('there')]]) as unknown
    expect(valuesOf(await read(['a'], () => awaitable as Promise<string>).chunk.settle!(goesOn))).toEqual(['there'])
    const checked = json(async (document) => ({ checked: document }))
    expect(valuesOf(await read(['1'], checked).chunk.settle!(goesOn))).toEqual([{ checked: 1 }])
  })

  it('that can be had at once make no promise, and leave the chunk as it is', () => {
    let promises = 0
    const counting = createHook({ init: (_, type) => void (type === 'PROMISE' && promises++) }).enable()
    const chunks = [text(), json((document) => document), (bytes: Buffer) => bytes.length].map((value) =>
      read(['1', '2'], value as ValueOption<unknown>),
    )
    counting.disable()
    expect(promises).toBe(0)
    for (const { chunk, whole } of chunks) expect(chunk).toBe(whole)
  })

  describe('when one is refused', () => {
    it('for now, the chunk is tried again: it is released, and the error names the place and what was thrown', async () => {
      const thrown = new Error('registry is away')
      const { chunk, release } = read(['a', 'b'], async (bytes) => {
        if (String(bytes) === 'b') throw thrown
      })
      const error = await chunk.settle!(goesOn).catch((error: unknown) => error)
      expect(error).toBeInstanceOf(UserFailure)
      expect(error).toMatchObject({
        code: 'DECODER_FAILED',
        effect: 'retry',
        thrown,
        place: { stream: 'orders', partition: 3, offset: '6' },
      })
      expect((error as UserFailure).describe('shown')).toMatch(
        /^the decoder \(function\) failed at orders\[3\] offset 6, group billing: shown\. /,
      )
      expect(release).toHaveBeenCalledOnce()
    })

    it('for good, it is poison behind the messages in front of it', async () => {
      const { chunk, release } = read(['a', 'b', 'c'], async (bytes) => {
        if (String(bytes) === 'b') throw new Undecodable('no such schema')
        return String(bytes)
      })
      const cut = await chunk.settle!(goesOn)
      expect(valuesOf(cut)).toEqual(['a'])
      expect(cut).toMatchObject({
        from: 5n,
        next: 6n,
        poison: { next: 7n, raw: { offset: 6n, key: Buffer.from('k'), value: Buffer.from('b') } },
      })
      expect(cut!.poison!.error).toMatchObject({ code: 'UNDECODABLE', place: { offset: '6' } })
      expect(cut!.raw(cut!.messages[0]!)).toMatchObject({ offset: 5n, value: Buffer.from('a') })
      // The witness is of the whole chunk's end.
      expect(cut!.witness).toBeUndefined()
      expect(release).not.toHaveBeenCalled()
    })

    it('by a throw, it is poison as a synchronous decoder makes it', async () => {
      const { chunk } = read<string>(['a', 'b'], (bytes) => {
        if (String(bytes) === 'b') throw new Error('broken')
        return Promise.resolve('A')
      })
      expect((await chunk.settle!(goesOn))!.poison!.error).toMatchObject({
        code: 'UNDECODABLE',
        place: { offset: '6' },
      })
    })

    it("by one of Tidemark's own codecs, it is poison that says why", async () => {
      const { chunk } = read(['{'], async (bytes, info) => json().decode(bytes, info))
      expect((await chunk.settle!(goesOn))!.poison!.error.message).toContain('it is no JSON')
    })

    it('the first one in the log counts, though others fail sooner', async () => {
      const { decode, fail, give, began } = byHand()
      const { chunk } = read(['a', 'b', 'c', 'd', 'e'], decode, 4)
      const settled = chunk.settle!(goesOn)
      fail('d', new Error('away'))
      fail('c', new Undecodable('broken'))
      await turn()
      give('a')
      await turn()
      fail('b', new Undecodable('broken first'))
      expect(await settled).toMatchObject({ next: 6n, poison: { next: 7n } })
      // What lies behind a failure is not begun.
      expect(began).toEqual(['a', 'b', 'c', 'd'])
    })

    it('for now, in front of one that is refused for good, the chunk is tried again', async () => {
      const { decode, fail } = byHand()
      const settled = read(['a', 'b'], decode).chunk.settle!(goesOn)
      fail('b', new Undecodable('broken'))
      await turn()
      fail('a', new Error('away'))
      await expect(settled).rejects.toMatchObject({ code: 'DECODER_FAILED', place: { offset: '5' } })
    })
  })

  it('that do not come in time make the chunk be tried again, and say how long they had', async () => {
    vi.useFakeTimers()
    const { decode, give } = byHand()
    const { chunk, release } = read(['a', 'b', 'c'], decode)
    const settled = chunk.settle!(goesOn)
    settled.catch(() => {})
    give('a')
    await vi.advanceTimersByTimeAsync(29_999)
    expect(release).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await expect(settled).rejects.toThrow(
      'the decoder (decode) has not answered for 30 s at orders[3] offset 6, group billing. The value is decoded again',
    )
    expect(release).toHaveBeenCalledOnce()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('that nobody wants any more are left at once, and the chunk is released', async () => {
    vi.useFakeTimers()
    const stop = new AbortController()
    const { decode, began } = byHand()
    const { chunk, release } = read(['a', 'b', 'c'], decode, 2)
    const settled = chunk.settle!(stop.signal)
    stop.abort()
    expect(await settled).toBeNull()
    expect(release).toHaveBeenCalledOnce()
    expect([began.length, vi.getTimerCount()]).toEqual([2, 0])
    expect(await read(['a'], decode).chunk.settle!(stop.signal)).toBeNull()
  })

  it('that are refused when nobody waits for them end no process', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const [first, second, third] = [byHand(), byHand(), byHand()]
    const stop = new AbortController()
    // Thrown away before anybody has asked for its values; left in the middle; abandoned since another one has failed.
    read(['a'], first.decode)
    const left = read(['a', 'b'], second.decode).chunk.settle!(stop.signal)
    const failed = read(['a', 'b'], third.decode).chunk.settle!(goesOn)
    stop.abort()
    third.fail('a', new Error('away'))
    await expect(failed).rejects.toThrow()
    expect(await left).toBeNull()
    for (const [by, raw] of [
      [first, 'a'],
      [second, 'a'],
      [second, 'b'],
      [third, 'b'],
    ] as const)
      by.fail(raw, new Error('late'))
    await turn()
    await turn()
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })
})
