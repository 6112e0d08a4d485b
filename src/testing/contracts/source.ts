import { setTimeout as sleep } from 'node:timers/promises'
import { isTidemarkError } from '../../model/errors.js'
import { Undecodable } from '../../model/undecodable.js'
import type { ReadOptions, Source, SourceClient } from '../../ports/index.js'
import { json } from '../../reading/value.js'
import { SharedBudget } from '../../worker/budget.js'
import { follow, nextChunk, soon, take } from './chunks.js'
import { hooksOf, type TestFramework } from './framework.js'
import { verifyRawMessages } from './raw-messages.js'
import type { HarnessStream, SourceHarness, SourceTraits } from './source-harness.js'
import { waitFor } from './wait-for.js'

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

const fetchBytes = 64 * 1024

/**
 * The suite that makes a SourceClient one: what the worker relies on, whatever the log. It defines its tests when it is called.
 *
 * @param framework `{ describe, it, expect, beforeAll, afterAll, beforeEach, afterEach }`
 * @param kind names the source in the tests' titles
 */
export function verifySource(
  framework: TestFramework,
  kind: string,
  open: () => Promise<SourceHarness>,
  traits: SourceTraits = {},
): void {
  const { describe, it, expect, beforeAll, afterAll, afterEach } = hooksOf(framework)
  const { keys = true, headers = true, contiguous = true } = traits

  describe(`${kind} source`, () => {
    let harness: SourceHarness
    const cleanUp: (() => Promise<void>)[] = []

    beforeAll(async () => {
      harness = await open()
    })
    afterEach(async () => {
      while (cleanUp.length > 0) await cleanUp.pop()!()
    })
    afterAll(async () => harness?.close?.())

    async function stream(partitions = 1): Promise<HarnessStream> {
      const created = await harness.createStream(partitions)
      cleanUp.push(() => created.drop())
      return created
    }

    async function connected<V>(source: Source<V>): Promise<SourceClient<V>> {
      const client = await source.connect({ log: silent, signal: new AbortController().signal })
      cleanUp.push(() => client.close())
      return client
    }

    async function filled(values: readonly unknown[], partitions = 1) {
      const there = await stream(partitions)
      if (values.length > 0) await there.append(0, values)
      return { there, client: await connected(there.source()) }
    }

    /** A reader of partition 0 unless told, and the budget it lends from. */
    function reading<V>(
      client: SourceClient<V>,
      there: HarnessStream,
      from: bigint,
      change: Partial<ReadOptions> & { partition?: number } = {},
    ) {
      const budget = new SharedBudget(64 * 1024 * 1024)
      const end = new AbortController()
      const { partition = 0, ...options } = change
      const reader = client.read(from, {
        key: { group: 'readers', stream: there.name, partition },
        replay: 0,
        fetchBytes,
        budget,
        signal: end.signal,
        ...options,
      })
      cleanUp.push(() => reader.close())
      return { reader, budget, end }
    }

    it('names the partitions of the stream', async () => {
      const client = await connected((await stream(3)).source())
      expect(await client.partitions()).toEqual([0, 1, 2])
    })

    it('names the incarnation of the stream, the same to everybody and another one of another stream', async () => {
      const [there, elsewhere] = [await stream(), await stream()]
      for (const each of [there, elsewhere]) await each.append(0, ['a'])
      const [one, again, other] = await Promise.all(
        [there, there, elsewhere].map(async (each) => (await connected(each.source())).identity(0)),
      )
      expect(one).not.toBe('')
      expect(again).toBe(one)
      if (one !== null) expect(other).not.toBe(one)
    })

    it('refuses to connect to a stream that does not exist', async () => {
      const { connect } = harness.unknownStream()
      const error = await connect({ log: silent, signal: new AbortController().signal }).catch((error) => error)
      expect(isTidemarkError(error) && error.code).toBe('STREAM_NOT_FOUND')
    })

    it('says that the server is not there after one try', async () => {
      const { connect } = harness.unreachable()
      const error = await connect({ log: silent, signal: new AbortController().signal }).catch((error) => error)
      expect(isTidemarkError(error) && error.code).toBe('UNREACHABLE')
    })

    describe('bounds and starts', () => {
      it('an empty partition begins where it ends', async () => {
        const { client } = await filled([])
        const { first, head } = (await client.bounds([0])).get(0)!
        expect(first).toBe(head)
        for (const start of ['first', 'last', 'next'] as const) expect(await client.resolve(0, start)).toBe(head)
      })

      it('the bounds of many partitions come together', async () => {
        const there = await stream(3)
        await there.append(0, ['a'])
        await there.append(2, ['b', 'c'])
        const bounds = await (await connected(there.source())).bounds([0, 1, 2])
        expect([...bounds.keys()].sort()).toEqual([0, 1, 2])
        expect(bounds.get(0)!.head).toBeGreaterThan(bounds.get(0)!.first)
        expect(bounds.get(1)!.head).toBe(bounds.get(1)!.first)
        expect(bounds.get(2)!.head).toBeGreaterThan(bounds.get(2)!.first)
        if (contiguous) expect(bounds.get(2)).toEqual({ first: 0n, head: 2n })
      })

      const starts = [
        { start: 'first', read: ['a', 'b', 'c', 'later'] },
        { start: 'last', read: ['c', 'later'] },
        { start: 'next', read: ['later'] },
      ] as const
      for (const { start, read } of starts)
        it(`start ${start} reads ${read}`, async () => {
          const { there, client } = await filled(['a', 'b', 'c'])
          const from = await client.resolve(0, start)
          await there.append(0, ['later'])
          const { reader } = reading(client, there, from)
          expect((await take(reader, read.length)).map(({ value }) => value)).toEqual(read)
        })

      it('an offset starts exactly there, and outside of the log it is refused', async () => {
        const { there, client } = await filled(['a', 'b', 'c'])
        const all = await take(reading(client, there, await client.resolve(0, 'first')).reader, 3)
        const second = all[1]!.offset
        expect(await client.resolve(0, { offset: second })).toBe(second)
        const { head } = (await client.bounds([0])).get(0)!
        expect(await client.resolve(0, { offset: head })).toBe(head)
        const error = await client.resolve(0, { offset: head + 1_000n }).catch((error) => error)
        expect(isTidemarkError(error) && error.code).toBe('OUT_OF_RANGE')
        expect(error.message).toContain(String(head))
      })

      it('a time starts at the first message written then or later', async () => {
        const { there, client } = await filled(['a'])
        const [a] = await take(reading(client, there, await client.resolve(0, 'first')).reader, 1)
        await waitFor(() => Date.now() > a!.timestamp + 5, { what: 'the clock to move on' })
        const between = a!.timestamp + 1
        await there.append(0, ['b', 'c'])
        const [, b] = await take(reading(client, there, await client.resolve(0, 'first')).reader, 2)
        expect(await client.resolve(0, { timestamp: between })).toBe(b!.offset)
        expect(await client.resolve(0, { timestamp: 0 })).toBe(a!.offset)
        const { head } = (await client.bounds([0])).get(0)!
        expect(await client.resolve(0, { timestamp: Date.now() + 3_600_000 })).toBe(head)
      })

      it('the time of the oldest message is told, of the partitions that have one', async () => {
        const { there, client } = await filled(['a', 'b'], 2)
        const [a] = await take(reading(client, there, await client.resolve(0, 'first')).reader, 1)
        expect(await client.firstTimes!([0, 1])).toEqual(new Map([[0, a!.timestamp]]))
      })
    })

    describe('reading', () => {
      it('delivers every message once and in order, chunk after chunk without a hole', async () => {
        const values = Array.from({ length: 2_500 }, (_, index) => ({ index, pad: 'x'.repeat(100) }))
        const { there, client } = await filled(values)
        const first = await client.resolve(0, 'first')
        const { reader } = reading(client, there, first)
        const { messages, chunks } = await follow(reader, values.length, { maxMessages: 400 })
        expect(messages.map(({ value }) => value)).toEqual(values)
        let position = first
        for (const chunk of chunks) {
          expect(chunk.from).toBe(position)
          expect(chunk.next > chunk.from).toBe(true)
          expect(chunk.messages.length).toBeLessThanOrEqual(400)
          for (const { offset } of chunk.messages) expect(offset >= chunk.from && offset < chunk.next).toBe(true)
          position = chunk.next
        }
        const { head } = (await client.bounds([0])).get(0)!
        expect(position).toBe(head)
        if (contiguous) expect(messages.map(({ offset }) => Number(offset))).toEqual(values.map(({ index }) => index))
      })

      it('goes on exactly where another reader stopped', async () => {
        const values = Array.from({ length: 100 }, (_, index) => index)
        const { there, client } = await filled(values)
        const before = await follow(reading(client, there, await client.resolve(0, 'first')).reader, 40, {
          maxMessages: 40,
        })
        // How much comes at once is the log's own affair.
        const left = values.length - before.messages.length
        expect(left).toBeGreaterThan(0)
        const rest = await take(reading(client, there, before.chunks.at(-1)!.next).reader, left)
        expect([...before.messages, ...rest].map(({ value }) => value)).toEqual(values)
      })

      it('keeps partitions apart', async () => {
        const there = await stream(2)
        await there.append(0, ['a', 'b'])
        await there.append(1, ['c'])
        const client = await connected(there.source())
        const [zero, one] = await Promise.all(
          [0, 1].map(async (partition) =>
            take(reading(client, there, await client.resolve(partition, 'first'), { partition }).reader, 2 - partition),
          ),
        )
        expect(zero!.map(({ value, partition }) => [value, partition])).toEqual([
          ['a', 0],
          ['b', 0],
        ])
        expect(one!.map(({ value, partition }) => [value, partition])).toEqual([['c', 1]])
      })

      it('fills in what a handler sees of a message', async () => {
        const there = await stream()
        const before = Date.now()
        await there.append(0, [{ total: 5 }], { key: 'kéy', headers: { trace: 'abc' } })
        const client = await connected(there.source())
        const [message] = await take(reading(client, there, await client.resolve(0, 'first'), { replay: 3 }).reader, 1)
        expect(message).toMatchObject({ stream: there.name, partition: 0, value: { total: 5 } })
        expect(message!.idempotencyKey).toBe(`readers/${there.name}/0/${message!.offset}/3`)
        expect(message!.timestamp).toBeGreaterThanOrEqual(before - 60_000)
        expect(message!.timestamp).toBeLessThanOrEqual(Date.now() + 60_000)
        if (keys) {
          expect(message!.key).toBe('kéy')
          expect(message!.keyBytes).toEqual(Buffer.from('kéy'))
        }
        if (headers) {
          expect(message!.headers.get('trace')).toBe('abc')
          expect(message!.headers.getBytes('trace')).toEqual(Buffer.from('abc'))
          expect(message!.headers.getAll('trace')).toEqual(['abc'])
          expect([...message!.headers]).toContainEqual(['trace', 'abc'])
        }
        expect(message!.headers.get('absent')).toBeUndefined()
      })

      it('says after waitMs that nothing came, and delivers to the next call what comes later', async () => {
        const { there, client } = await filled([])
        const { reader } = reading(client, there, await client.resolve(0, 'first'))
        const started = performance.now()
        expect(await reader.next({ maxMessages: 10, waitMs: 50 })).toBeNull()
        expect(performance.now() - started).toBeLessThan(5_000)
        expect(await reader.next({ maxMessages: 10, waitMs: 1 })).toBeNull()
        await there.append(0, ['late'])
        expect((await take(reader, 1)).map(({ value }) => value)).toEqual(['late'])
      })

      it('says what has arrived before anybody takes it, and gives it at once', async () => {
        const { there, client } = await filled([])
        const { reader } = reading(client, there, await client.resolve(0, 'first'))
        expect(await reader.arrived(50)).toBe(false)
        const coming = reader.arrived(soon)
        await there.append(0, ['one'])
        expect(await coming).toBe(true)
        expect(await reader.arrived(0)).toBe(true)
        const chunk = await reader.next({ maxMessages: 10, waitMs: 0 })
        expect(chunk!.messages.map(({ value }) => value)).toEqual(['one'])
        chunk!.release()
        expect(await reader.arrived(50)).toBe(false)
      })

      it('delivers a message to somebody who waits for it', async () => {
        const { there, client } = await filled([])
        const { reader } = reading(client, there, await client.resolve(0, 'first'))
        const coming = reader.next({ maxMessages: 10, waitMs: soon })
        await there.append(0, ['now'])
        const chunk = await coming
        expect(chunk!.messages.map(({ value }) => value)).toEqual(['now'])
        expect(chunk!.head >= chunk!.next).toBe(true)
        chunk!.release()
      })

      it('delivers one message larger than a fetch', async () => {
        const large = 'x'.repeat(fetchBytes * 4)
        const { there, client } = await filled(['before', large, 'after'])
        const { reader } = reading(client, there, await client.resolve(0, 'first'))
        expect((await take(reader, 3)).map(({ value }) => value)).toEqual(['before', large, 'after'])
      })
    })

    describe('memory', () => {
      const values = Array.from({ length: 400 }, (_, index) => ({ index, pad: 'x'.repeat(2_000) }))

      it('a handler that keeps its chunk stops the reader after one fetch more', async () => {
        const { there, client } = await filled(values)
        const budget = new SharedBudget(64 * 1024 * 1024)
        const { reader } = reading(client, there, await client.resolve(0, 'first'), { budget })
        const chunk = await nextChunk(reader, { maxMessages: 1 })
        await waitFor(() => budget.used > fetchBytes, { what: 'the next fetch to be paid for' })
        expect(await settled(() => budget.used)).toBeLessThan(20 * fetchBytes)
        expect(chunk.bytes).toBeGreaterThan(1_000)
      })

      it('nothing is fetched while the budget is lent to others', async () => {
        const { there, client } = await filled(values)
        const budget = new SharedBudget(fetchBytes)
        const other = await budget.take(fetchBytes, new AbortController().signal)
        const { reader } = reading(client, there, await client.resolve(0, 'first'), { budget })
        expect(await reader.next({ maxMessages: 10, waitMs: 200 })).toBeNull()
        other.release()
        expect((await nextChunk(reader, { maxMessages: 10 })).messages.length).toBeGreaterThan(0)
      })

      it('a budget of a single fetch is enough to read everything', async () => {
        const { there, client } = await filled(values)
        const { reader } = reading(client, there, await client.resolve(0, 'first'), {
          budget: new SharedBudget(fetchBytes),
        })
        expect((await take(reader, values.length)).map(({ value }) => value)).toEqual(values)
      })

      it('gives everything back: chunks when they are released, the rest when the reader closes', async () => {
        const { there, client } = await filled(values)
        const { reader, budget } = reading(client, there, await client.resolve(0, 'first'))
        const chunk = await nextChunk(reader, { maxMessages: 3 })
        chunk.release()
        chunk.release()
        await reader.close()
        expect(budget.used).toBe(0)
      })

      it('a chunk given back after its reader was closed counts once', async () => {
        const { there, client } = await filled(values)
        const { reader, budget } = reading(client, there, await client.resolve(0, 'first'))
        const chunk = await nextChunk(reader, { maxMessages: 3 })
        await reader.close()
        chunk.release()
        expect(budget.used).toBe(0)
      })
    })

    describe('a value that cannot be decoded', () => {
      const picky = json((document) => {
        if ((document as { secret?: string }).secret) throw new Error(`bad: ${JSON.stringify(document)}`)
        return document
      })

      async function poisoned() {
        const there = await stream()
        await there.append(0, [{ ok: 1 }, { ok: 2 }, { secret: 'hunter2' }, { ok: 3 }], { key: 'k' })
        const client = await connected(there.source(picky))
        return { there, client, ...reading(client, there, await client.resolve(0, 'first')) }
      }

      it('comes as it is in the log where the source is connected for bytes', async () => {
        const { there } = await poisoned()
        const context = { log: silent, signal: new AbortController().signal, values: 'bytes' as const }
        const client = await there.source(picky).connect(context)
        cleanUp.push(() => client.close())
        const { reader } = reading(client, there, await client.resolve(0, 'first'))
        const values = (await take(reader, 4)).map(({ value }) => value)
        expect(values.every((value) => Buffer.isBuffer(value))).toBe(true)
        expect(JSON.parse(String(values[2]))).toEqual({ secret: 'hunter2' })
      })

      it('comes as poison behind the messages before it, and nothing is skipped', async () => {
        const { reader, there } = await poisoned()
        const { chunks, messages } = await follow(reader, Number.POSITIVE_INFINITY, {}, ({ poison }) => !!poison)
        expect(messages.map(({ value }) => value)).toEqual([{ ok: 1 }, { ok: 2 }])
        const { poison, next } = chunks.at(-1)!
        const { error } = poison!
        expect(error.code).toBe('UNDECODABLE')
        expect(error.place).toEqual({ group: 'readers', stream: there.name, partition: 0, offset: String(next) })
        expect(next > messages[1]!.offset).toBe(true)
        expect(poison!.timestamp).toBeGreaterThanOrEqual(messages[1]!.timestamp)
        for (const part of ['readers', there.name, String(next)]) expect(error.message).toContain(part)
      })

      it('never shows its payload', async () => {
        const { reader } = await poisoned()
        const { chunks } = await follow(reader, Number.POSITIVE_INFINITY, {}, ({ poison }) => !!poison)
        const { error } = chunks.at(-1)!.poison!
        expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain('hunter2')
        expect(error.cause).toBeUndefined()
      })

      it('is still there for whoever asks again', async () => {
        const { reader } = await poisoned()
        const { chunks } = await follow(reader, Number.POSITIVE_INFINITY, {}, ({ poison }) => !!poison)
        const again = await nextChunk(reader)
        expect(again).toMatchObject({ from: chunks.at(-1)!.next, next: chunks.at(-1)!.next, messages: [] })
        expect(again.poison!.error.code).toBe('UNDECODABLE')
      })

      it('comes with its raw bytes', async () => {
        const { reader } = await poisoned()
        const { chunks } = await follow(reader, Number.POSITIVE_INFINITY, {}, ({ poison }) => !!poison)
        const { raw } = chunks.at(-1)!.poison!
        expect(JSON.parse(String(raw!.value))).toEqual({ secret: 'hunter2' })
        expect(raw!.key && String(raw!.key)).toBe(keys ? 'k' : null)
      })

      it('names the position behind it, where a new reader reads on', async () => {
        const { reader, there, client } = await poisoned()
        const { chunks } = await follow(reader, Number.POSITIVE_INFINITY, {}, ({ poison }) => !!poison)
        const { next, poison } = chunks.at(-1)!
        expect(poison!.next > next).toBe(true)
        const behind = reading(client, there, poison!.next)
        expect((await take(behind.reader, 1)).map(({ value }) => value)).toEqual([{ ok: 3 }])
      })

      it('names the position behind it also at the end of the log, where a new reader waits for more', async () => {
        const there = await stream()
        await there.append(0, [{ secret: 'hunter2' }])
        const client = await connected(there.source(picky))
        const { poison } = await nextChunk(reading(client, there, await client.resolve(0, 'first')).reader)
        const behind = reading(client, there, poison!.next)
        const coming = take(behind.reader, 1)
        await there.append(0, [{ ok: 1 }])
        expect((await coming).map(({ value }) => value)).toEqual([{ ok: 1 }])
      })
    })

    describe('an asynchronous decoder', () => {
      const decoder = json(async (document) => {
        const { n } = document as { n: number }
        // The first ones take longest.
        await sleep(20 - n)
        if (n === 7) throw new Undecodable(`no ${n}`)
        return n
      })

      /** The values of ten messages from the first on, as far as they come, and what the budget has. */
      async function settledOf(values: readonly { readonly n: number }[]) {
        const there = await stream()
        await there.append(0, values, { key: 'k' })
        const client = await connected(there.source(decoder))
        const { reader, budget } = reading(client, there, await client.resolve(0, 'first'))
        const found: unknown[] = []
        for (;;) {
          const chunk = await nextChunk(reader)
          const settled = await chunk.settle!(new AbortController().signal)
          found.push(...settled!.messages.map(({ value }) => value))
          settled!.release()
          if (settled!.poison || found.length === values.length) return { found, settled: settled!, reader, budget }
        }
      }

      it('gives the values in the order of the log, once their chunk is settled', async () => {
        const { found } = await settledOf([1, 2, 3, 4, 5].map((n) => ({ n })))
        expect(found).toEqual([1, 2, 3, 4, 5])
      })

      it('that refuses one for good leaves it as poison behind the messages before it, and gives its memory back', async () => {
        const { found, settled, reader, budget } = await settledOf([5, 6, 7, 8].map((n) => ({ n })))
        expect(found).toEqual([5, 6])
        const { error, raw, next } = settled.poison!
        expect(error).toMatchObject({ code: 'UNDECODABLE', place: { offset: String(settled.next) } })
        expect(next > settled.next).toBe(true)
        expect([JSON.parse(String(raw!.value)), raw!.key && String(raw!.key)]).toEqual([{ n: 7 }, keys ? 'k' : null])
        await reader.close()
        expect(budget.used).toBe(0)
      })
    })

    verifyRawMessages({ describe, it, expect }, traits, { stream, connected, reading })

    describe('ending a reader', () => {
      it('a pending next resolves with null when the reader closes', async () => {
        const { there, client } = await filled([])
        const { reader, budget } = reading(client, there, await client.resolve(0, 'first'))
        // Nothing came, so the fetch is under way and stays so.
        expect(await reader.next({ maxMessages: 10, waitMs: 200 })).toBeNull()
        const pending = reader.next({ maxMessages: 10, waitMs: 60_000 })
        const started = performance.now()
        await reader.close()
        expect(await pending).toBeNull()
        expect(performance.now() - started).toBeLessThan(1_000)
        await reader.close()
        expect(budget.used).toBe(0)
      })

      it('a pending next resolves with null when the signal aborts', async () => {
        const { there, client } = await filled([])
        const { reader, end, budget } = reading(client, there, await client.resolve(0, 'first'))
        const pending = reader.next({ maxMessages: 10, waitMs: 60_000 })
        const started = performance.now()
        end.abort()
        expect(await pending).toBeNull()
        expect(performance.now() - started).toBeLessThan(1_000)
        expect(await reader.next({ maxMessages: 10, waitMs: 60_000 })).toBeNull()
        await waitFor(() => budget.used === 0, { what: 'the loan to be given back' })
      })

      it('a reader that was ended before it began reads nothing', async () => {
        const { there, client } = await filled(['a'])
        const { reader } = reading(client, there, await client.resolve(0, 'first'), { signal: AbortSignal.abort() })
        expect(await reader.next({ maxMessages: 10, waitMs: 60_000 })).toBeNull()
      })
    })

    describe('waiting for data', () => {
      it('sees at once what is there', async () => {
        const { client } = await filled(['a'])
        expect(await client.waitForData(0, await client.resolve(0, 'first'), AbortSignal.timeout(soon))).toBe(true)
      })

      it('wakes up when something is written', async () => {
        const { there, client } = await filled(['a'])
        const { head } = (await client.bounds([0])).get(0)!
        const waiting = client.waitForData(0, head, AbortSignal.timeout(soon))
        await there.append(0, ['b'])
        expect(await waiting).toBe(true)
      })

      it('wakes up only the partition that got something', async () => {
        const there = await stream(3)
        const client = await connected(there.source())
        const end = new AbortController()
        const woken: number[] = []
        const bounds = await client.bounds([0, 1, 2])
        const waiting = [0, 1, 2].map(async (partition) => {
          if (await client.waitForData(partition, bounds.get(partition)!.head, end.signal)) woken.push(partition)
        })
        await there.append(1, ['b'])
        await waitFor(() => woken.length > 0, { what: 'a partition to wake up' })
        end.abort()
        await Promise.all(waiting)
        expect(woken).toEqual([1])
      })

      it('wakes up everybody who waits for the same partition, each at their own position', async () => {
        const { there, client } = await filled(['a'])
        const { head } = (await client.bounds([0])).get(0)!
        const first = await client.resolve(0, 'first')
        const signal = AbortSignal.timeout(soon)
        const [atHead, atHeadToo] = [client.waitForData(0, head, signal), client.waitForData(0, head, signal)]
        expect(await client.waitForData(0, first, signal)).toBe(true)
        await there.append(0, ['b'])
        expect(await Promise.all([atHead, atHeadToo])).toEqual([true, true])
      })

      it('somebody who begins to wait later is woken, too', async () => {
        const there = await stream(2)
        const client = await connected(there.source())
        const end = new AbortController()
        const position = await client.resolve(0, 'next')
        const idle = client.waitForData(0, position, end.signal)
        for (const round of [1, 2, 3, 4, 5]) {
          const next = await client.resolve(1, 'next')
          const waiting = client.waitForData(1, next, AbortSignal.timeout(soon))
          await there.append(1, [round])
          expect(await waiting).toBe(true)
        }
        end.abort()
        expect(await idle).toBe(false)
      })

      it('resolves with false as soon as it is no longer wanted', async () => {
        const { client } = await filled([])
        const position = await client.resolve(0, 'first')
        expect(await client.waitForData(0, position, AbortSignal.abort())).toBe(false)
        const end = new AbortController()
        const waiting = client.waitForData(0, position, end.signal)
        const started = performance.now()
        end.abort()
        expect(await waiting).toBe(false)
        expect(performance.now() - started).toBeLessThan(1_000)
      })

      it('a client that closes lets nobody wait on', async () => {
        const there = await stream()
        const client = await connected(there.source())
        const waiting = client.waitForData(0, await client.resolve(0, 'first'), AbortSignal.timeout(soon))
        await client.close()
        expect(await waiting).toBe(false)
      })
    })
  })
}

/** The value once it has stopped changing. */
async function settled(read: () => number): Promise<number> {
  let last = Number.NaN
  let same = 0
  return waitFor(
    () => {
      const now = read()
      same = now === last ? same + 1 : 0
      last = now
      return same >= 4 ? now : 0
    },
    { what: 'the value to stop changing' },
  )
}
