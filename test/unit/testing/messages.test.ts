import { describe, expect, it } from 'vitest'
import { bytes, codecOf, json, text, type ValueCodec } from '../../../src/reading/value.js'
import { TestStream } from '../../../src/testing/messages.js'

const decoding = <V>(codec: ValueCodec<V>) => ({ codec, concurrency: 1, timeoutMs: 1_000 })

const bytesOf = (stream: TestStream, message: Parameters<TestStream['append']>[0]) => {
  const { partition, offset } = stream.append(message, 1_000)
  return stream.log.from(offset, partition, 1)[0]!.value
}

describe('messages of a test stream', () => {
  it('keep the order of their key: one key, one partition', () => {
    const stream = new TestStream('orders', 8, decoding(json()))
    const places = Array.from({ length: 5 }, () => stream.append({ key: 'ann', value: 1 }, 0))
    expect(new Set(places.map(({ partition }) => partition)).size).toBe(1)
    expect(places.map(({ offset }) => offset)).toEqual([0n, 1n, 2n, 3n, 4n])
  })

  it('take turns where they have no key', () => {
    const stream = new TestStream('orders', 3, decoding(json()))
    const partitions = [1, 2, 3, 4].map((value) => stream.append({ value }, 0).partition)
    expect(partitions).toEqual([0, 1, 2, 0])
  })

  it('stand in the log as the source reads them', () => {
    expect(String(bytesOf(new TestStream('s', 1, decoding(json())), { value: 'a' }))).toBe('"a"')
    expect(String(bytesOf(new TestStream('s', 1, decoding(text())), { value: 'a' }))).toBe('a')
    expect(bytesOf(new TestStream('s', 1, decoding(bytes())), { value: Buffer.from([255]) })).toEqual(
      Buffer.from([255]),
    )
    const custom = codecOf((raw: Buffer) => raw.length)
    expect(String(bytesOf(new TestStream('s', 1, decoding(custom)), { value: { a: 1 } }))).toBe('{"a":1}')
    expect(bytesOf(new TestStream('s', 1, decoding(json())), { value: null })).toBeNull()
  })

  it('have the time that they are given, or that of the kit', () => {
    const stream = new TestStream('s', 1, decoding(json()))
    stream.append({ value: 1, timestamp: new Date(5) }, 1_000)
    stream.append({ value: 2 }, 1_000)
    expect(stream.log.from(0n, 0, 1_000).map(({ timestamp }) => timestamp)).toEqual([5, 1_000])
  })

  it('are refused where no log could hold them', () => {
    const stream = new TestStream('orders', 2, decoding(json()))
    expect(() => stream.append({ value: undefined }, 0)).toThrow(
      "append: a message for orders: JSON can't say undefined",
    )
    expect(() => stream.append({ value: 1, partition: 2 }, 0)).toThrow('append: orders has no partition 2; it has 0, 1')
  })
})
