import { describe, expect, it } from 'vitest'
import { faultOf } from '../../activities/failing/classify.js'
import type { Cluster } from '../../src/kafka/output/cluster.js'
import { batchesOf, deliver, Sequences } from '../../src/kafka/output/deliver.js'
import type { EncodedBatch } from '../../src/kafka/output/protocol.js'
import type { OutputRecord } from '../../src/ports/index.js'

interface Request {
  readonly nodeId: number
  readonly batches: readonly EncodedBatch[]
}
type Answer = { topic: string; partition: number; code: number }[]

/** A cluster whose brokers answer as the test says; partition n is led by broker n, until told otherwise. */
function scripted(answer: (request: Request, nth: number) => Answer | Error, deliveryTimeoutMs = 5_000) {
  const requests: Request[] = []
  const moved = new Map<number, number>()
  const leaders = {
    of: async (partition: number) => ({ nodeId: moved.get(partition) ?? partition, host: 'h', port: 1 }),
    refresh: async () => ({}),
  }
  const cluster = {
    settings: { compression: 'none', deliveryTimeoutMs, connection: { requestTimeoutMs: 1_000 } },
    signal: new AbortController().signal,
    leaders: () => leaders,
    ask: async ({ nodeId }: { nodeId: number }, _: unknown, { batches }: { batches: readonly EncodedBatch[] }) => {
      requests.push({ nodeId, batches })
      const given = answer({ nodeId, batches }, requests.length)
      if (given instanceof Error) throw given
      return given
    },
  }
  return { cluster: cluster as unknown as Cluster, requests, moved }
}

const identity = { producerId: 7n, producerEpoch: 0, transactionalId: null }
const done = ({ batches }: Request): Answer => batches.map(({ topic, partition }) => ({ topic, partition, code: 0 }))
const refused = ({ batches }: Request, code: number): Answer =>
  done({ nodeId: 0, batches }).map((one) => ({ ...one, code }))
const placed = (partition: number, bytes = 1) => {
  const record: OutputRecord = { topic: 't', key: null, value: Buffer.alloc(bytes), headers: [] }
  return { record, partition }
}
const sequenceOf = ({ bytes }: EncodedBatch) => bytes.readInt32BE(53)
const partitionsOf = ({ batches }: Request) => batches.map(({ partition }) => partition)

describe('delivering batches', () => {
  it('repeats what got no answer byte for byte, so that the broker knows it', async () => {
    const { cluster, requests } = scripted((request, nth) => (nth === 1 ? new Error('connection lost') : done(request)))
    expect((await deliver(cluster, identity, new Sequences(), batchesOf([placed(0), placed(0)]))).size).toBe(0)
    expect(requests).toHaveLength(2)
    expect(requests[1]!.batches[0]!.bytes).toEqual(requests[0]!.batches[0]!.bytes)
  })

  it('sends what has moved to a broker that has already answered, and nothing twice', async () => {
    const { cluster, requests, moved } = scripted((request) => {
      if (request.nodeId !== 1) return done(request)
      moved.set(1, 0)
      return refused(request, 6)
    })
    expect((await deliver(cluster, identity, new Sequences(), batchesOf([placed(0), placed(1)]))).size).toBe(0)
    expect(requests.map((request) => [request.nodeId, partitionsOf(request)])).toEqual([
      [0, [0]],
      [1, [1]],
      [0, [1]],
    ])
  })

  it('takes a batch that the broker has already for written', async () => {
    const { cluster } = scripted((request, nth) => (nth === 1 ? new Error('lost') : refused(request, 46)))
    expect((await deliver(cluster, identity, new Sequences(), batchesOf([placed(0)]))).size).toBe(0)
  })

  it('loses everything behind a batch that is refused, and nothing of other partitions', async () => {
    const { cluster, requests } = scripted((request) => (request.nodeId === 0 ? refused(request, 10) : done(request)))
    const half = 500 * 1024
    const batches = batchesOf([placed(0, half), placed(1, half), placed(0, half), placed(1, half)])
    const failed = await deliver(cluster, identity, new Sequences(), batches)
    expect([...failed.keys()].map(({ partition }) => partition)).toEqual([0, 0])
    for (const error of failed.values())
      expect(error.message).toContain("topic 't', partition 0: Kafka answered MESSAGE_TOO_LARGE")
    expect(requests.filter(({ nodeId }) => nodeId === 0)).toHaveLength(1)
    expect(requests.filter(({ nodeId }) => nodeId === 1)).toHaveLength(2)
  })

  it('numbers the records of a partition without gaps, through several deliveries', async () => {
    const { cluster, requests } = scripted(done)
    const sequences = new Sequences()
    await deliver(cluster, identity, sequences, batchesOf([placed(0), placed(0), placed(1)]))
    await deliver(cluster, identity, sequences, batchesOf([placed(0), placed(1)]))
    const numbers = requests.flatMap(({ batches }) => batches.map((one) => [one.partition, sequenceOf(one)]))
    expect(numbers).toEqual([
      [0, 0],
      [1, 0],
      [0, 2],
      [1, 1],
    ])
  })

  it('gives up after the delivery timeout, and says what the broker said last', async () => {
    const { cluster } = scripted((request) => refused(request, 19), 100)
    const failed = await deliver(cluster, identity, new Sequences(), batchesOf([placed(0)]))
    expect([...failed.values()][0]!.message).toContain('NOT_ENOUGH_REPLICAS')
  })

  it('says that the cluster is away where it is: no message is the cause, and none is to be set aside', async () => {
    const away = scripted(() => new Error('connection lost'), 10)
    const [error] = (await deliver(away.cluster, identity, new Sequences(), batchesOf([placed(0)]))).values()
    expect(faultOf(error, undefined, () => {})).toEqual({
      class: 'unavailable',
      dependency: 'what the handler writes to',
    })
    // 10: the message is too large.
    const large = scripted((request) => refused(request, 10))
    const [refusal] = (await deliver(large.cluster, identity, new Sequences(), batchesOf([placed(0)]))).values()
    expect(faultOf(refusal, undefined, () => {})).toEqual({ class: 'retryable' })
  })

  it('says when a newer producer is there', async () => {
    const { cluster } = scripted((request) => refused(request, 47))
    const failed = await deliver(cluster, identity, new Sequences(), batchesOf([placed(0)]))
    expect([...failed.values()][0]).toMatchObject({ fenced: true })
  })
})

it('sequence numbers begin again behind the greatest one', () => {
  const sequences = new Sequences()
  sequences.take('t', 0, 2 ** 31 - 2)
  expect([sequences.take('t', 0, 3), sequences.take('t', 0, 1)]).toEqual([2 ** 31 - 2, 1])
})
