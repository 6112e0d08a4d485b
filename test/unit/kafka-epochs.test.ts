import { describe, expect, it } from 'vitest'
import type { BrokerLink } from '../../src/kafka/client/broker-link.js'
import type { EpochQuestion } from '../../src/kafka/client/leader-epochs.js'
import type { Links } from '../../src/kafka/client/link-pool.js'
import { parseKafka } from '../../src/kafka/client/options.js'
import { epochIn, witnessOf } from '../../src/kafka/source/epoch-witness.js'
import { Epochs } from '../../src/kafka/source/epochs.js'
import { batch, fetchResponse, type TestPartition } from '../support/kafka-batches.js'

const fenced = 74
const leaders = [
  { nodeId: 0, host: 'a', port: 1 },
  { nodeId: 1, host: 'b', port: 1 },
]

/** Of partition n, every epoch ends at 100 + n. */
function cluster({ old = false, refused = -1, batchAt = {} as Partial<TestPartition> } = {}) {
  const requests: (readonly EpochQuestion[])[] = []
  const link = {
    epochEnds: async (_: string, questions: readonly EpochQuestion[]) => {
      requests.push(questions)
      if (old) return null
      return questions.map(({ partition, epoch }) => ({
        partition,
        epoch,
        errorCode: partition === refused ? fenced : 0,
        offset: BigInt(100 + partition),
      }))
    },
    fetch: async () => fetchResponse([{ partition: 0, ...batchAt }]),
  } as unknown as BrokerLink
  const links = { use: (_: object, work: (link: BrokerLink) => unknown) => work(link) } as unknown as Links
  return { requests, epochs: new Epochs(links, parseKafka({ brokers: ['a:1'], topic: 'orders' })) }
}

describe('questions about epochs', () => {
  const ask = (epochs: Epochs, partition: number) =>
    epochs.endOf(leaders[partition % 2]!, { partition, leaderEpoch: 6, epoch: 5 })

  it('of 256 partitions that open together are one request per leader', async () => {
    const { epochs, requests } = cluster()
    const partitions = Array.from({ length: 256 }, (_, partition) => partition)
    const ends = await Promise.all(partitions.map((partition) => ask(epochs, partition)))
    expect(ends.map((end) => end!.offset)).toEqual(partitions.map((partition) => BigInt(100 + partition)))
    expect(requests.map((questions) => questions.length)).toEqual([128, 128])
  })

  it('of two readers of one partition are two requests', async () => {
    const { epochs, requests } = cluster()
    await Promise.all([ask(epochs, 0), ask(epochs, 0)])
    expect(requests.map((questions) => questions.length)).toEqual([1, 1])
  })

  it('fail for one partition alone where the broker refuses it', async () => {
    const { epochs } = cluster({ refused: 2 })
    const [first, second] = await Promise.allSettled([ask(epochs, 0), ask(epochs, 2)])
    expect(first).toMatchObject({ status: 'fulfilled', value: { offset: 100n } })
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'UNREACHABLE' } })
  })

  it('have no answer from an old broker', async () => {
    expect(await ask(cluster({ old: true }).epochs, 0)).toBeNull()
  })

  it.each<[string, number | null, Partial<TestPartition>]>([
    ['is that of the batch around the offset', 4, { records: batch([{ offset: 3 }, { offset: 7 }], { epoch: 4 }) }],
    ['is not that of a later batch', null, { records: batch([{ offset: 6 }], { epoch: 4 }) }],
    ['is unknown behind the end', null, { records: null }],
    ['is unknown where retention has deleted the offset', null, { errorCode: 1 }],
  ])('the epoch at an offset %s', async (_, epoch, batchAt) => {
    const { epochs } = cluster({ batchAt })
    expect(await epochs.at(leaders[0]!, { partition: 0, leaderEpoch: 6, epoch: -1 }, 5n)).toBe(epoch)
  })
})

describe('an epoch as the witness of a position', () => {
  it.each([0, 5, 2_147_483_647])('%i comes back', (epoch) => {
    expect(epochIn(witnessOf(epoch))).toBe(epoch)
  })

  it('is none where it is not known, and in what others wrote', () => {
    expect(witnessOf(-1)).toBeUndefined()
    for (const text of [null, undefined, '', '5', 'e', 'e5x', 'e-1', 'e99999999999']) expect(epochIn(text)).toBe(-1)
  })
})
