import { describe, expect, it } from 'vitest'
import { epochEndsRequest, readEpochEnds } from '../../src/kafka/client/leader-epochs.js'

/* Written down from the protocol's page: OffsetForLeaderEpoch, version 3. */

describe('where epochs end', () => {
  it('is asked of a leader for many partitions at once', () => {
    const questions = [
      { partition: 0, leaderEpoch: 6, epoch: 5 },
      { partition: 258, leaderEpoch: 3, epoch: 0 },
    ]
    const topics = `00000001 0002 ${Buffer.from('ab').toString('hex')}`
    const partitions = '00000002 00000000 00000006 00000005 00000102 00000003 00000000'
    const expected = `ffffffff ${topics} ${partitions}`.replaceAll(' ', '')
    expect(epochEndsRequest('ab', questions).toString('hex')).toBe(expected)
  })

  it('is read with an error code for each partition', () => {
    const known = '0000 00000000 00000005 000000000000003c'
    const fenced = '004a 00000102 ffffffff ffffffffffffffff'
    const body = Buffer.from(`00000000 00000001 0002 6162 00000002 ${known} ${fenced}`.replaceAll(' ', ''), 'hex')
    expect(readEpochEnds(body)).toEqual([
      { partition: 0, errorCode: 0, epoch: 5, offset: 60n },
      { partition: 258, errorCode: 74, epoch: -1, offset: -1n },
    ])
    expect(() => readEpochEnds(body.subarray(0, -1))).toThrow(RangeError)
  })
})
