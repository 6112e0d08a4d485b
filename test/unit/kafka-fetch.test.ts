import { describe, expect, it } from 'vitest'
import { readFetchResponse } from '../../src/kafka/source/fetch.js'
import { batch, fetchResponse } from '../support/kafka-batches.js'

describe('a Fetch response', () => {
  const records = batch([{ offset: 5, value: 'x' }])

  it('tells each partition its own error, offsets, aborted transactions and records', () => {
    const aborted = [
      { producerId: 7n, firstOffset: 2n },
      { producerId: 8n, firstOffset: 9_007_199_254_740_993n },
    ]
    const body = fetchResponse(
      [
        { partition: 3, errorCode: 6 },
        { partition: 1, highWatermark: 9_007_199_254_740_999n, lastStableOffset: 6, aborted, records },
        { partition: 2, errorCode: 1, records: null, aborted: null },
      ],
      { throttleMs: 250 },
    )
    const read = readFetchResponse(body)
    expect(read.throttleMs).toBe(250)
    expect(read.partitions.map(({ partition, errorCode, records }) => [partition, errorCode, records.length])).toEqual([
      [3, 6, 0],
      [1, 0, records.length],
      [2, 1, 0],
    ])
    expect(read.partitions[1]).toMatchObject({
      highWatermark: 9_007_199_254_740_999n,
      lastStableOffset: 6n,
      aborted,
      preferredReplica: -1,
    })
  })

  it('names the replica that the broker would rather have asked', () =>
    expect(readFetchResponse(fetchResponse([{ partition: 0, preferredReplica: 4 }])).partitions[0]).toMatchObject({
      preferredReplica: 4,
    }))

  it('may be about none', () =>
    expect(readFetchResponse(fetchResponse([], { errorCode: 70 }))).toEqual({
      throttleMs: 0,
      errorCode: 70,
      partitions: [],
    }))

  it('that was cut off is refused, wherever the cut is', () => {
    const body = fetchResponse([{ partition: 0, aborted: [{ producerId: 1, firstOffset: 1 }], records }])
    for (let cut = 0; cut < body.length; cut++)
      expect(() => readFetchResponse(body.subarray(0, cut)), `${cut} bytes`).toThrow(RangeError)
  })
})
