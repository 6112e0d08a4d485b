import { describe, expect, it } from 'vitest'
import { DamagedBatch, readBatches } from '../../src/kafka/source/record-batch.js'
import { RecordCursor } from '../../src/kafka/source/records.js'
import { batch, codecs, snappyBlock, type TestRecord, xerial } from '../support/kafka-batches.js'

/** All records of a record set, copied. */
function recordsOf(set: Buffer) {
  return readBatches(set).batches.flatMap((unpacked) => {
    const cursor = new RecordCursor(unpacked)
    const records = []
    while (cursor.next()) {
      const { offset, timestamp, key, value, headers } = cursor.record
      records.push({ offset, timestamp, key, value, headers })
    }
    return records
  })
}

const text = (bytes: Buffer | null) => bytes?.toString() ?? null

describe('a record batch', () => {
  it.each(codecs)('compressed with %s reads back', (codec) => {
    const records: TestRecord[] = Array.from({ length: 500 }, (_, i) => ({
      offset: 1_000 + i,
      key: `k${i}`,
      value: `value ${i}`,
    }))
    const read = recordsOf(batch(records, { codec }))
    expect(read.map(({ offset, key, value }) => [offset, text(key), text(value)])).toEqual(
      records.map(({ offset, key, value }) => [BigInt(offset), key, value]),
    )
  })

  it("unpacks Snappy with and without the Java client's framing", () => {
    const records = Array.from({ length: 5_000 }, (_, i) => ({ offset: i, value: `message number ${i}` }))
    for (const compress of [snappyBlock, (data: Buffer) => xerial(data), (data: Buffer) => xerial(data, 100)]) {
      const read = recordsOf(batch(records, { codec: 'snappy', compress }))
      expect(read.map(({ value }) => text(value))).toEqual(records.map(({ value }) => value))
    }
  })

  it('tells null from empty in keys, values and headers', () => {
    const headers = [
      ['empty', ''],
      ['null', null],
    ] as const
    const [nulls, empties] = recordsOf(
      batch([
        { offset: 0, key: null, value: null },
        { offset: 1, key: '', value: '', headers },
      ]),
    )
    expect([nulls!.key, nulls!.value, nulls!.headers]).toEqual([null, null, []])
    expect([text(empties!.key), text(empties!.value)]).toEqual(['', ''])
    expect(empties!.headers.map(([name, value]) => [name, text(value)])).toEqual(headers)
  })

  it('keeps headers in their order, repeated names too', () => {
    const headers = [
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
      ['', '4'],
      ['ä', 'ß'],
    ] as const
    const [record] = recordsOf(batch([{ offset: 0, value: 'x', headers }]))
    expect(record!.headers.map(([name, value]) => [name, text(value)])).toEqual(headers)
  })

  it.each([0, 1, 63, 64, 127, 128, 8_191, 8_192, 16_383, 16_384, 1_048_575, 2 ** 27, 2 ** 31 - 1])(
    'reads an offset delta of %i',
    (delta) => {
      const base = 9_007_199_254_740_993n // beyond what a double holds
      const offset = base + BigInt(delta)
      expect(recordsOf(batch([{ offset, value: 'x' }], { base })).map((record) => record.offset)).toEqual([offset])
    },
  )

  it.each([0, 1, -1, 63, -64, 64, 2 ** 31, -(2 ** 31), 2 ** 32 + 1, -(2 ** 40), 1_900_000_000_000, -1_700_000_000_000])(
    'reads a timestamp delta of %i ms',
    (delta) => {
      const first = 1_700_000_000_000
      const read = recordsOf(
        batch([
          { offset: 0, timestamp: first, value: 'x' },
          { offset: 1, timestamp: first + delta, value: 'y' },
        ]),
      )
      expect(read.map(({ timestamp }) => timestamp)).toEqual([first, first + delta])
    },
  )

  it.each([0, 1, 63, 64, 8_191, 8_192, 1_048_576])('reads a value of %i bytes', (size) => {
    const [record] = recordsOf(batch([{ offset: 0, value: Buffer.alloc(size, 7) }]))
    expect(record!.value!.length).toBe(size)
  })

  it('gives all records the time of the log where the topic stamps them itself', () => {
    const records = [1, 2].map((offset) => ({ offset, timestamp: 1_000 + offset, value: 'x' }))
    const read = recordsOf(batch(records, { logAppendTime: 5_000 }))
    expect(read.map(({ timestamp }) => timestamp)).toEqual([5_000, 5_000])
  })

  it('may hold 150,000 records', () => {
    const records = Array.from({ length: 150_000 }, (_, offset) => ({ offset, value: 'x' }))
    const read = recordsOf(batch(records, { codec: 'gzip' }))
    expect(read).toHaveLength(150_000)
    expect(read.at(-1)!.offset).toBe(149_999n)
  })

  it('that compaction has emptied still says where the log goes on', () => {
    const { batches } = readBatches(batch([], { base: 10, last: 19 }))
    expect(batches).toMatchObject([{ count: 0, nextOffset: 20n }])
  })

  it('that has lost its last records to compaction says where the log goes on', () => {
    const { batches } = readBatches(batch([{ offset: 12, value: 'x' }], { base: 10, last: 19 }))
    expect(batches).toMatchObject([{ count: 1, nextOffset: 20n }])
    expect(recordsOf(batch([{ offset: 12, value: 'x' }], { base: 10, last: 19 }))[0]!.offset).toBe(12n)
  })
})

describe('a record set', () => {
  const first = batch([{ offset: 0, value: 'one' }])
  const second = batch([{ offset: 1, value: 'two' }])

  it('leaves a last batch that is cut off to the next fetch, wherever the cut is', () => {
    for (let cut = 0; cut < second.length; cut++) {
      const { batches, rest } = readBatches(Buffer.concat([first, second.subarray(0, cut)]))
      expect(batches.map(({ baseOffset }) => baseOffset)).toEqual([0n])
      expect(rest).toBe(cut)
    }
  })

  it('is refused when any byte behind the CRC has changed', () => {
    for (let at = 17; at < first.length; at++) {
      const damaged = Buffer.from(first)
      damaged[at]! ^= 1
      expect(() => readBatches(damaged), `byte ${at}`).toThrow(DamagedBatch)
    }
  })

  it('gives the whole batches in front of a damaged one, so that work stops exactly there', () => {
    const damaged = Buffer.from(second)
    damaged[40]! ^= 1
    const { batches } = readBatches(Buffer.concat([first, damaged]))
    expect(batches.map(({ nextOffset }) => nextOffset)).toEqual([1n])
    expect(() => readBatches(damaged)).toThrow(expect.objectContaining({ baseOffset: 1n }))
  })

  it.each([0, 1])('of format %i is refused, and says since when there is a newer one', (magic) => {
    const old = Buffer.from(first)
    old[16] = magic
    expect(() => readBatches(old)).toThrow(`record format ${magic} is not supported; Kafka writes format 2 since 0.11`)
  })

  it.each([-2_147_483_648, -12, -1, 0, 4, 48])('with a batch length of %i is refused', (length) => {
    const broken = Buffer.from(first)
    broken.writeInt32BE(length, 8)
    expect(() => readBatches(broken)).toThrow(DamagedBatch)
  })

  it('that is empty holds nothing', () => expect(readBatches(Buffer.alloc(0))).toEqual({ batches: [], rest: 0 }))
})

describe('a batch whose records contradict each other', () => {
  /** A batch with a right checksum around any bytes. */
  const around = (bytes: number[], count = 1) => {
    const records = Array.from({ length: count }, (_, offset) => ({ offset }))
    return batch(records, { compress: () => Buffer.from(bytes) })
  }
  it.each([
    ['a record longer than the batch', [20, 0, 0, 0]],
    ['a record of negative length', [1, 0, 0, 0]],
    ['a key longer than its record', [12, 0, 0, 0, 60, 1, 0]],
    ['a header name longer than its record', [14, 0, 0, 0, 1, 1, 2, 90]],
    ['more headers than bytes', [14, 0, 0, 0, 1, 1, 0xfe, 0x7f]],
    ['a varint of six bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 1]],
    ['fewer records than it says', []],
  ])('is refused: %s', (_, bytes) => expect(() => recordsOf(around(bytes))).toThrow(RangeError))
})
