import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../src/model/errors.js'
import { accessDenied, streamNotFound, unreachable } from '../../src/model/peer-errors.js'
import {
  corruptData,
  noSuchPartition,
  offsetOutOfRange,
  positionOfEarlierStream,
  positionOutOfRange,
  readingStopped,
} from '../../src/model/refusals.js'

const key = { group: 'bank', stream: 'orders', partition: 3 }
const reset = 'Choose where to resume: tidemark reset --group bank --stream orders --partition 3 --to first'

describe('an error', () => {
  it('about an offset that is asked for says what the partition holds', () => {
    expect(offsetOutOfRange(key, 9n, { first: 0n, head: 6n })).toMatchObject({
      code: 'OUT_OF_RANGE',
      message: 'offset 9 is out of range: orders[3] holds offsets 0 to 5, and the next one is 6',
      place: { stream: 'orders', partition: 3, offset: '9' },
    })
  })

  it('about an offset in an empty partition says that it is empty', () => {
    expect(offsetOutOfRange(key, 9n, { first: 4n, head: 4n }).message).toBe(
      'offset 9 is out of range: orders[3] is empty, and its next offset is 4',
    )
  })

  it.each([
    ['deleted', 2n, 'retention has deleted messages that were not handled yet'],
    ['cut', 11n, 'the log is shorter than what was handled: it was created again, or has lost messages'],
  ])('about a position whose messages were %s says so, and what to do', (_, position, why) => {
    expect(positionOutOfRange(key, position, { first: 6n, head: 10n })).toMatchObject({
      code: 'OUT_OF_RANGE',
      message: `orders[3], group bank: position ${position} is out of range: the log holds offsets 6 to 9, and the next one is 10; ${why}. ${reset}`,
      place: { ...key, offset: String(position) },
    })
  })

  it('about a position of an earlier stream says so, and what to do', () => {
    expect(positionOfEarlierStream(key, 7n, 'topic')).toMatchObject({
      code: 'OUT_OF_RANGE',
      message: `orders[3], group bank: position 7 belongs to a topic that was deleted; another one of the same name has been created since. ${reset}`,
      place: { ...key, offset: '7' },
    })
  })

  const damage = { what: 'the record batch', why: 'its checksum is wrong' }

  it('about damaged data says what to check', () => {
    expect(corruptData(key, 7n, damage)).toMatchObject({
      code: 'CORRUPT_DATA',
      message:
        "orders[3], group bank: the record batch at offset 7 can't be read: its checksum is wrong. Fetching it again brought the same: check the broker's disk and network",
      place: { ...key, offset: '7' },
    })
  })

  it('about damaged data that the log goes on behind says how to resume there', () => {
    expect(corruptData(key, 7n, { ...damage, next: 12n }).message).toBe(
      "orders[3], group bank: the record batch at offset 7 can't be read: its checksum is wrong. To resume behind it: tidemark reset --group bank --stream orders --partition 3 --to 12",
    )
  })

  it('about a server says which group stops where', () => {
    const cause = new TidemarkError('STREAM_NOT_FOUND', "Kafka at broker:9092 has no topic 'orders': create it")
    expect(readingStopped(key, 7n, cause)).toMatchObject({
      code: 'STREAM_NOT_FOUND',
      message: "orders[3], group bank: Kafka at broker:9092 has no topic 'orders': create it",
      place: { ...key, offset: '7' },
      cause,
    })
  })

  it('about a position of a group stays as it is', () => {
    const lost = positionOfEarlierStream(key, 7n)
    expect(readingStopped(key, 9n, lost)).toBe(lost)
  })

  it('about a partition that there is not says which there are', () => {
    expect(noSuchPartition(key, '0 to 2')).toMatchObject({
      code: 'UNKNOWN_CONSUMER',
      message: 'orders has no partition 3; it has 0 to 2',
      place: { stream: 'orders', partition: 3 },
    })
  })

  const where = 'Kafka at broker:9092'
  const cause = new Error('connect ECONNREFUSED')

  it('about a server that is not there keeps what the network said', () => {
    expect(unreachable({ where, toDo: 'is it running?', cause, place: { stream: 'orders' } })).toMatchObject({
      code: 'UNREACHABLE',
      message: "Kafka at broker:9092 can't be reached: is it running? (connect ECONNREFUSED)",
      cause,
      place: { stream: 'orders' },
    })
  })

  it.each(['127.0.0.1:7233', 'localhost:7233', '[::1]:7233', 'broker:9092, localhost:9092'])(
    'about nothing that listens at %s says what starts it',
    (address) => {
      const hint = "is it running? For development, 'npx tidemark dev' starts it; see docs/troubleshooting.md ("
      const told = (why: string) =>
        unreachable({ where: `Temporal at ${address}`, toDo: 'is it running?', cause: new Error(why) }).message
      expect(told('connect ECONNREFUSED')).toContain(hint)
      expect(told('Failed to connect before the deadline\nand more of it')).toMatch(
        /docs\/troubleshooting\.md \(Failed.*\)$/,
      )
      expect(told('too many clients')).not.toContain('tidemark dev')
    },
  )

  it('about a server that says no names whom it has refused', () => {
    expect(accessDenied("user 'bank'", { where, toDo: "check 'sasl'", cause })).toMatchObject({
      code: 'AUTH_FAILED',
      message: "Kafka at broker:9092 refused user 'bank': check 'sasl'",
      cause,
    })
  })

  it('about a stream that is missing says where, and what to do', () => {
    expect(streamNotFound("topic 'orders'", { where, toDo: 'create it', place: { stream: 'orders' } })).toMatchObject({
      code: 'STREAM_NOT_FOUND',
      message: "Kafka at broker:9092 has no topic 'orders': create it",
      place: { stream: 'orders' },
    })
  })
})
