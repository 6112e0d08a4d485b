import { afterEach, describe, expect, test } from 'vitest'
import { text } from '../../src/entry/rabbitmq.js'
import { TruncatedLog } from '../../src/model/refusals.js'
import type { Chunk, Reader, ReadOptions } from '../../src/ports/index.js'
import { witnessIn, witnessOf } from '../../src/rabbitmq/source/chunk-witness.js'
import { rabbitmq } from '../../src/rabbitmq/source/source.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { FakeStream, type LogChunk } from '../support/fake-stream.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const fetchBytes = 10_000
const beginning: LogChunk = { first: 0, messages: ['a', 'b'], timestamp: 100, epoch: 1 }
const middle: LogChunk = { first: 2, messages: ['c', 'd', 'e'], timestamp: 200, epoch: 2 }
const end: LogChunk = { first: 5, messages: ['f'], timestamp: 300, epoch: 2 }
const [atTwo, atFive] = ['e1t100o0', 'e2t200o2']

async function streamOf(log: readonly LogChunk[]) {
  const stream = await FakeStream.start(log)
  const { port } = stream.broker
  const source = rabbitmq({ port, stream: 's', value: text(), groupOffsets: false })
  const client = await source.connect({ log: silentLog(), signal: new AbortController().signal })
  ends.push(
    () => stream.broker.close(),
    () => client.close(),
  )
  const read = (from: number, witness: string | null, change: Partial<ReadOptions> = {}) =>
    client.read(BigInt(from), {
      key: { group: 'g', stream: 's', partition: 0 },
      replay: 0,
      fetchBytes,
      budget: new SharedBudget(1_000_000),
      signal: new AbortController().signal,
      witness,
      ...change,
    })
  return { stream, client, read }
}

async function next(reader: Reader<string>, maxMessages = 100): Promise<Chunk<string>> {
  const chunk = await reader.next({ maxMessages, waitMs: 10_000 })
  if (!chunk) throw new Error('nothing came')
  chunk.release()
  return chunk
}

const valuesOf = ({ messages }: Chunk<string>) => messages.map(({ value }) => value)

test('a witness is told from what other sources keep', () => {
  const witness = witnessOf({ epoch: 2n ** 64n - 1n, timestamp: 1_700_000_000_000, first: 5n })
  expect(witnessIn(witness)).toBe(witness)
  for (const other of ['e5', '', 'e1t2o', null, undefined]) expect(witnessIn(other)).toBeNull()
})

describe('a chunk of a RabbitMQ stream names the log chunk that its last message is in', () => {
  test('also where it ends in the middle of that', async () => {
    const { read } = await streamOf([beginning, middle])
    const reader = read(0, null)
    const found = [await next(reader, 1), await next(reader, 1), await next(reader, 2), await next(reader, 1)]
    expect(found.map(({ next, witness }) => [Number(next), witness])).toEqual([
      [1, atTwo],
      [2, atTwo],
      [4, atFive],
      [5, atFive],
    ])
  })

  test('also in front of poison, whether that begins a log chunk or not', async () => {
    const { read } = await streamOf([beginning, { ...middle, messages: ['', 'd', ''] }])
    const reader = read(0, null)
    expect(await next(reader)).toMatchObject({ next: 2n, witness: atTwo })
    expect(await next(reader)).toMatchObject({ next: 2n, witness: atTwo, poison: { next: 3n } })
    expect(await next(read(2, atTwo))).toMatchObject({ next: 2n, witness: atTwo, poison: { next: 3n } })
    expect(await next(read(3, null))).toMatchObject({ next: 4n, witness: atFive, poison: { next: 5n } })
  })

  test('but not where nobody has seen it', async () => {
    const { read } = await streamOf([beginning, { ...middle, messages: ['', 'd', 'e'] }])
    expect(await next(read(2, null))).not.toHaveProperty('witness')
    // The broker's own note, which is not sent, is between them.
    const noted = await streamOf([beginning, { first: 2, messages: ['n'], note: true }, { first: 3, messages: [''] }])
    expect(await next(noted.read(2, atTwo))).toMatchObject({ next: 3n, poison: { next: 4n } })
    expect(await next(noted.read(2, atTwo))).not.toHaveProperty('witness')
  })
})

describe('a reader of a RabbitMQ stream that has a witness', () => {
  const truncated = {
    code: 'OUT_OF_RANGE',
    at: null,
    message: expect.stringContaining('the log was cut somewhere before position 5'),
    place: { group: 'g', stream: 's', partition: 0, offset: '5' },
  }

  test('reads on behind the same log chunk, which is sent once more', async () => {
    const { stream, read } = await streamOf([beginning, middle, end])
    expect(valuesOf(await next(read(5, atFive)))).toEqual(['f'])
    expect(stream.sent).toEqual([2, 5])
  })

  test('is sent nothing more where the log chunk goes on, and none of that twice', async () => {
    const { stream, read } = await streamOf([beginning, middle, end])
    const chunk = await next(read(4, atFive))
    expect([chunk.from, valuesOf(chunk)]).toEqual([4n, ['e']])
    expect(stream.sent[0]).toBe(2)
    expect(stream.sent.filter((first) => first === 2)).toHaveLength(1)
  })

  test.each<[string, LogChunk]>([
    ['of another time', { ...middle, timestamp: 201 }],
    ['of another epoch', { ...middle, epoch: 3 }],
    ['that begins elsewhere', { ...middle, first: 3, messages: ['d', 'e'] }],
    ["of the broker's own", { ...middle, note: true }],
  ])('reads nothing behind a log chunk %s', async (_, other) => {
    const { read } = await streamOf([beginning, other, end])
    const reading = next(read(5, atFive))
    await expect(reading).rejects.toMatchObject(truncated)
    await expect(reading).rejects.toBeInstanceOf(TruncatedLog)
  })

  test('reads nothing of another log chunk that reaches beyond the position', async () => {
    const { read } = await streamOf([beginning, { ...middle, messages: ['c', 'd', 'x', 'y'], timestamp: 201 }])
    await expect(next(read(5, atFive))).rejects.toMatchObject(truncated)
  })

  test('says so where the stream is another one altogether', async () => {
    const { read } = await streamOf([{ ...beginning, timestamp: 101 }, middle, end])
    const reader = read(5, 'e1t50o2', { identity: '100' })
    await expect(next(reader)).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      message: expect.stringContaining('belongs to a stream that was deleted'),
    })
  })

  test('reads on where retention has deleted the log chunk', async () => {
    const { read } = await streamOf([end])
    expect(valuesOf(await next(read(5, atFive)))).toEqual(['f'])
  })

  test('reads on where the log chunk is damaged, since it was handled', async () => {
    const { read } = await streamOf([beginning, { ...middle, damaged: true }, end])
    expect(valuesOf(await next(read(5, atFive)))).toEqual(['f'])
  })

  test('holds no memory at a quiet tail, needs none of others, and gets what comes', async () => {
    const { stream, read } = await streamOf([beginning, middle])
    const budget = new SharedBudget(fetchBytes)
    const others = await budget.take(fetchBytes, new AbortController().signal)
    const reader = read(5, atFive, { budget })
    expect(await reader.arrived(300)).toBe(false)
    expect(await reader.next({ maxMessages: 10, waitMs: 10 })).toBeNull()
    expect(budget.used).toBe(fetchBytes)
    stream.write([beginning, middle, end])
    expect(await reader.arrived(10_000)).toBe(true)
    expect(valuesOf(await next(reader))).toEqual(['f'])
    others.release()
    expect(budget.used).toBe(0)
  })

  test("needs no memory of others either at a tail that the broker's notes follow, once somebody has found it", async () => {
    const log = [beginning, middle, { first: 5, messages: ['n'], note: true }]
    const { stream, client, read } = await streamOf(log)
    expect((await client.bounds([0])).get(0)).toMatchObject({ head: 5n })
    const budget = new SharedBudget(fetchBytes)
    await budget.take(fetchBytes, new AbortController().signal)
    const reader = read(5, atFive, { budget })
    expect(await reader.arrived(100)).toBe(false)
    stream.write([...log, { ...end, first: 6 }])
    expect(valuesOf(await next(reader))).toEqual(['f'])
  })

  test('notices at a quiet tail that other messages have come to be there while the broker was away', async () => {
    const { stream, read } = await streamOf([beginning, middle])
    const reader = read(0, null)
    expect(valuesOf(await next(reader))).toEqual(['a', 'b'])
    expect(valuesOf(await next(reader))).toEqual(['c', 'd', 'e'])
    expect(await reader.arrived(50)).toBe(false)
    const { sockets } = stream.broker
    stream.broker.hangUp()
    await waitFor(() => sockets.size === 0, { what: 'the connections to end' })
    stream.write([beginning, { ...middle, timestamp: 201 }, end])
    await expect(next(reader)).rejects.toMatchObject(truncated)
  })

  test('goes on after an outage in which nothing was lost', async () => {
    const { stream, read } = await streamOf([beginning, middle])
    const reader = read(0, null)
    await next(reader)
    await next(reader)
    expect(await reader.arrived(50)).toBe(false)
    stream.broker.hangUp()
    stream.write([beginning, middle, end])
    expect(valuesOf(await next(reader))).toEqual(['f'])
  })
})

test('what another source has kept as a witness is no reason to look back', async () => {
  const { stream, read } = await streamOf([beginning, middle, end])
  expect(valuesOf(await next(read(5, 'e5')))).toEqual(['f'])
  expect(stream.sent).toEqual([5])
})
