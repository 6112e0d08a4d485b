import { describe, expect, it } from 'vitest'
import type { BrokerLink } from '../../src/kafka/client/broker-link.js'
import type { Leaders } from '../../src/kafka/client/leaders.js'
import type { Links } from '../../src/kafka/client/link-pool.js'
import type { KafkaSettings } from '../../src/kafka/client/options.js'
import { Offsets } from '../../src/kafka/source/offsets.js'

interface Request {
  readonly leader: number
  readonly isolation: number
  readonly asked: readonly { readonly partition: number; readonly timestamp: number }[]
}

/** NOT_LEADER_OR_FOLLOWER. */
const notLeader = 6

/** Partition n has the leader n % 2. Of each partition, the first message is n and the head is 100 + n. */
function cluster({ refused = [] as readonly number[] } = {}) {
  const requests: Request[] = []
  const refuse = new Set(refused)
  const listOffsets =
    (leader: number): BrokerLink['listOffsets'] =>
    async (_topic, isolation, asked) => {
      requests.push({ leader, isolation, asked })
      return asked.map(({ partition, timestamp }) => ({
        partition,
        errorCode: refuse.has(partition) ? notLeader : 0,
        offset: timestamp === -1 ? BigInt(100 + partition) : BigInt(partition),
        // Partition 2 has no messages.
        timestamp: timestamp < 0 || partition === 2 ? -1 : 1_000 + partition,
      }))
    }
  const addresses = [{ host: 'a' }, { host: 'b' }]
  const links = {
    use: (address: object, work: (link: BrokerLink) => unknown) =>
      work({ listOffsets: listOffsets(addresses.indexOf(address as never)) } as unknown as BrokerLink),
  } as unknown as Links
  const leaders = {
    of: async (partition: number) => addresses[partition % 2],
    has: () => true,
    refresh: async () => {
      refuse.delete(0)
    },
  } as unknown as Leaders
  const offsets = new Offsets(links, leaders, {
    topic: 'orders',
    brokers: ['a'],
    readUncommitted: false,
  } as unknown as KafkaSettings)
  return { offsets, requests }
}

const partitions = Array.from({ length: 256 }, (_, partition) => partition)

describe('what is asked of Kafka in one turn', () => {
  it('starts of many partitions are one request per leader, for the end that they need', async () => {
    const { offsets, requests } = cluster()
    const starts = await Promise.all(partitions.map((partition) => offsets.resolve(partition, 'first')))
    expect(starts).toEqual(partitions.map(BigInt))
    expect(requests.map(({ leader, asked }) => [leader, asked.length])).toEqual([
      [0, 128],
      [1, 128],
    ])
    expect(new Set(requests.flatMap(({ asked }) => asked.map(({ timestamp }) => timestamp)))).toEqual(new Set([-2]))
  })

  it('questions about other times and other isolation are other requests, and name a partition once', async () => {
    const { offsets, requests } = cluster()
    const [first, next, bounds, readable] = await Promise.all([
      offsets.resolve(2, 'first'),
      offsets.resolve(4, 'next'),
      offsets.bounds([2, 4]),
      offsets.readable([4]),
    ])
    expect([first, next]).toEqual([2n, 104n])
    expect(bounds).toEqual(
      new Map([
        [2, { first: 2n, head: 102n }],
        [4, { first: 4n, head: 104n }],
      ]),
    )
    expect([...readable.readable, ...readable.heads]).toEqual([
      [4, 104n],
      [4, 104n],
    ])
    const said = requests.map(({ isolation, asked }) => [
      isolation,
      ...asked.map((one) => [one.partition, one.timestamp]),
    ])
    expect(said).toEqual([
      [0, [2, -2], [4, -2]],
      [0, [4, -1], [2, -1]],
      [1, [4, -1]],
    ])
  })

  it('the times of the oldest messages, of partitions that have messages', async () => {
    const { offsets, requests } = cluster()
    expect(await offsets.firstTimes([0, 2, 3])).toEqual(
      new Map([
        [0, 1_000],
        [3, 1_003],
      ]),
    )
    expect(requests.map(({ asked }) => asked.map(({ timestamp }) => timestamp))).toEqual([[0, 0], [0]])
  })

  it("one partition's refusal fails its own question only, and is asked again once", async () => {
    const { offsets, requests } = cluster({ refused: [0, 2] })
    const outcomes = await Promise.allSettled([0, 2, 4].map((partition) => offsets.resolve(partition, 'next')))
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message))).toEqual([
      100n,
      expect.stringContaining('orders'),
      104n,
    ])
    expect(requests.map(({ asked }) => asked.map(({ partition }) => partition))).toEqual([
      [0, 2, 4],
      [0, 2],
    ])
  })
})
