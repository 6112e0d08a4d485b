import { afterEach, describe, expect, it } from 'vitest'
import type { BrokerLink, FetchRequest } from '../../src/kafka/client/broker-link.js'
import type { Connector } from '../../src/kafka/client/driver.js'
import { parseKafka } from '../../src/kafka/client/options.js'
import type { Ask } from '../../src/kafka/source/ask.js'
import { mostLinks } from '../../src/kafka/source/broker-connections.js'
import { BrokerFetches } from '../../src/kafka/source/broker-fetches.js'
import { batch, fetchResponse, type TestPartition } from '../support/kafka-batches.js'
import { silentLog } from '../support/silent-log.js'
import { waitFor } from '../support/wait-for.js'

interface Sent {
  readonly link: number
  readonly request: FetchRequest
  readonly partitions: readonly number[]
  answer(partitions: readonly TestPartition[]): void
  fail(error: Error): void
}

const crowd = mostLinks + 3

describe('fetches from one broker', () => {
  const ends: (() => Promise<void>)[] = []
  afterEach(() => Promise.all(ends.splice(0).map((end) => end())))

  /** A broker whose Fetch requests the test answers. */
  function broker(readers: number, { fetchMaxWait = 500, refuse = false, rackId = '' } = {}) {
    const sent: Sent[] = []
    const closed: number[] = []
    let opened = 0
    const open = async () => {
      if (refuse) throw new Error('connection refused')
      const link = opened++
      let isClosed = false
      let reject: (error: Error) => void = () => {}
      return {
        get closed() {
          return isClosed
        },
        fetch: (_: string, request: FetchRequest) =>
          new Promise<Buffer>((resolve, fail) => {
            reject = fail
            const partitions = request.partitions.map(({ partition }) => partition)
            sent.push({ link, request, partitions, answer: (answers) => resolve(fetchResponse(answers)), fail })
          }),
        close: async () => {
          if (!isClosed) closed.push(link)
          isClosed = true
          reject(new Error('closed'))
        },
      } as unknown as BrokerLink
    }
    const settings = parseKafka({ brokers: ['b:1'], topic: 'orders', fetchMaxWait, rackId })
    const fetches = new BrokerFetches({ host: 'b', port: 1 }, { settings } as Connector, silentLog(), open)
    for (let i = 0; i < readers; i++) fetches.join({})
    ends.push(() => fetches.close())
    const answers: [partition: number, records: number | 'nothing' | Error][] = []
    const ask = (partition: number, change: Partial<Ask> = {}, signal = new AbortController().signal) =>
      void fetches
        .fetch({ partition, from: 0n, maxBytes: 1_000, leaderEpoch: -1, expects: 'nothing', ...change }, signal)
        .then(
          (answer) => answers.push([partition, answer && answer.errorCode === 0 ? answer.records.length : 'nothing']),
          (error) => answers.push([partition, error]),
        )
    const request = async (index: number): Promise<Sent> => {
      await waitFor(() => sent.length > index, { what: `request ${index}` })
      return sent[index]!
    }
    return { fetches, sent, closed, answers, ask, request, opened: () => opened }
  }

  const records = batch([{ offset: 0, value: 'x' }])
  const nothing = (partition: number): TestPartition => ({ partition, highWatermark: 0, lastStableOffset: 0 })
  const something = (partition: number): TestPartition => ({
    partition,
    highWatermark: 1,
    lastStableOffset: 1,
    records,
  })
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

  it('give each of a few readers a connection and a long poll of its own', async () => {
    const { ask, request, sent } = broker(mostLinks - 1, { rackId: 'a' })
    for (const partition of upTo(mostLinks - 1)) ask(partition)
    await request(mostLinks - 2)
    expect(sent.map(({ link, partitions, request }) => [link, partitions, request.maxWaitMs, request.rackId])).toEqual(
      upTo(mostLinks - 1).map((i) => [i, [i], 500, 'a']),
    )
  })

  it('of many readers at their ends share one long poll, which ends soon', async () => {
    const { ask, request, opened } = broker(256)
    for (const partition of upTo(256)) ask(partition)
    const { partitions, request: sent } = await request(0)
    expect(partitions).toEqual(upTo(256))
    expect(sent.maxBytes).toBe(256_000)
    expect(sent.maxWaitMs).toBeGreaterThan(0)
    expect(sent.maxWaitMs).toBeLessThanOrEqual(250)
    expect(opened()).toBe(1)
  })

  it('wake up the reader that has something, and leave its neighbours in the next long poll', async () => {
    const { ask, request, answers } = broker(crowd)
    for (const partition of upTo(3)) ask(partition)
    const first = await request(0)
    first.answer([nothing(0), something(1), nothing(2)])
    const second = await request(1)
    expect(answers).toEqual([[1, records.length]])
    expect(second.partitions).toEqual([0, 2])
  })

  it('put a reader that asks again at once back into the long poll with its neighbours', async () => {
    const { fetches, ask, request } = broker(crowd)
    const { signal } = new AbortController()
    const again = fetches
      .fetch({ partition: 1, from: 0n, maxBytes: 1, leaderEpoch: -1, expects: 'nothing' }, signal)
      .then(() => ask(1, { from: 1n }))
    ask(0)
    const first = await request(0)
    first.answer([something(1), nothing(0)])
    await again
    const second = await request(1)
    expect([...second.partitions].sort()).toEqual([0, 1])
  })

  it('tell a reader that nothing came when a long poll of its own would have ended', async () => {
    const { ask, sent, answers } = broker(crowd, { fetchMaxWait: 10 })
    const asked = performance.now()
    ask(0)
    const answerAll = () => {
      for (const { answer } of sent) answer([nothing(0)])
      return answers.length > 0
    }
    await waitFor(answerAll, { what: 'an answer' })
    expect(answers).toEqual([[0, 0]])
    expect(performance.now() - asked).toBeGreaterThanOrEqual(9)
  })

  it.each(['unseen', 'more', 'missed'] as const)('where %s is expected never wait in a long poll', async (expects) => {
    const { ask, request } = broker(crowd)
    for (const partition of upTo(3)) ask(partition)
    await request(0)
    ask(7, { expects })
    const second = await request(1)
    expect([second.link, second.partitions, second.request.maxWaitMs]).toEqual([1, [7], 0])
  })

  it('leave a connection to readers with something to fetch, however many others wait', async () => {
    const { ask, request, sent } = broker(crowd)
    for (let i = 0; i < 3; i++) {
      ask(i)
      await request(i)
    }
    for (const partition of [3, 4]) ask(partition)
    ask(5, { expects: 'more' })
    await request(3)
    expect(sent.map(({ partitions }) => partitions)).toEqual([[0], [1], [2], [5]])
    sent[1]!.answer([something(1)])
    expect((await request(4)).partitions).toEqual([3, 4])
  })

  it('spread what is there over all connections, 4 MB at most in an answer', async () => {
    const { ask, request, sent } = broker(256)
    for (const partition of upTo(100)) ask(partition, { expects: 'more', maxBytes: 2 * 1024 * 1024 })
    await request(mostLinks - 1)
    expect(sent.map(({ partitions }) => partitions.length)).toEqual(upTo(mostLinks).map(() => 2))
    expect(sent.map(({ request }) => request.maxBytes)).toEqual(upTo(mostLinks).map(() => 4 * 1024 * 1024))
    sent[2]!.answer(sent[2]!.partitions.map(something))
    const next = await request(mostLinks)
    expect([next.link, next.partitions.length]).toEqual([2, 2])
  })

  it('ask alone for a batch that did not fit beside others', async () => {
    const { ask, request, sent } = broker(crowd)
    for (const partition of upTo(3)) ask(partition, { expects: 'more' })
    ask(3, { expects: 'missed' })
    for (const partition of [4, 5, 6, 7]) ask(partition, { expects: 'more' })
    await request(mostLinks - 1)
    expect(sent.find(({ partitions }) => partitions.includes(3))!.partitions).toEqual([3])
  })

  it('keep two readers of one partition apart', async () => {
    const { ask, request } = broker(crowd)
    ask(0)
    ask(0, { from: 5n })
    ask(1)
    const first = await request(0)
    expect(first.request.partitions.map(({ partition, from }) => [partition, from])).toEqual([
      [0, 0n],
      [1, 0n],
    ])
    first.answer([something(0), nothing(1)])
    expect((await request(1)).request.partitions.map(({ partition, from }) => [partition, from])).toContainEqual([
      0,
      5n,
    ])
  })

  it.each([1, 3, 6])('tell error %i only to the partition it is about', async (errorCode) => {
    const { ask, request, answers, closed } = broker(crowd)
    for (const partition of upTo(3)) ask(partition)
    const first = await request(0)
    first.answer([nothing(0), { partition: 1, errorCode }, nothing(2)])
    expect((await request(1)).partitions).toEqual([0, 2])
    expect(answers).toEqual([[1, 'nothing']])
    expect(closed).toEqual([])
  })

  it('go on for the others when a reader leaves', async () => {
    const { ask, request, answers, closed } = broker(crowd)
    const leaving = new AbortController()
    ask(0, {}, leaving.signal)
    ask(1)
    const first = await request(0)
    leaving.abort(new Error('the reader was closed'))
    await waitFor(() => answers.length === 1, { what: 'the end of its fetch' })
    first.answer([nothing(0), something(1)])
    await waitFor(() => answers.length === 2, { what: 'the answer to the other' })
    expect(answers).toEqual([
      [0, expect.objectContaining({ message: 'the reader was closed' })],
      [1, records.length],
    ])
    expect(closed).toEqual([])
  })

  it('take the connection of readers that left, where no other is free', async () => {
    const { ask, request, closed } = broker(mostLinks)
    const leaving = new AbortController()
    for (const partition of upTo(mostLinks)) ask(partition, {}, leaving.signal)
    await request(mostLinks - 1)
    leaving.abort()
    ask(9)
    expect((await request(mostLinks)).partitions).toEqual([9])
    expect(closed).toEqual([0])
  })

  it('close a connection that fails, tell its readers, and go on with another', async () => {
    const { ask, request, answers, closed } = broker(crowd)
    for (const partition of upTo(2)) ask(partition)
    const first = await request(0)
    ask(2)
    const other = await request(1)
    first.fail(new Error('no answer in time'))
    await waitFor(() => answers.length === 2, { what: 'the failures' })
    expect(answers).toEqual(upTo(2).map((i) => [i, expect.objectContaining({ message: 'no answer in time' })]))
    expect(closed).toEqual([0])
    ask(0)
    expect((await request(2)).link).toBe(2)
    other.answer([something(2)])
    await waitFor(() => answers.length === 3, { what: 'the answer over the other connection' })
  })

  it('say why there is no connection', async () => {
    const { ask, answers } = broker(1, { refuse: true })
    ask(0)
    await waitFor(() => answers.length === 1, { what: 'the failure' })
    expect(answers[0]![1]).toMatchObject({ code: 'UNREACHABLE' })
  })

  it('do not keep the whole answer for one reader that is slow', async () => {
    const { fetches, request } = broker(crowd)
    const { signal } = new AbortController()
    const both = [0, 1].map((partition) =>
      fetches.fetch({ partition, from: 0n, maxBytes: 1_000, leaderEpoch: -1, expects: 'nothing' }, signal),
    )
    const large = batch([{ offset: 0, value: 'x'.repeat(100_000) }])
    ;(await request(0)).answer([
      { partition: 0, highWatermark: 1, lastStableOffset: 1, records: large },
      { partition: 1, highWatermark: 1, lastStableOffset: 1, records: large },
    ])
    const [first, second] = await Promise.all(both)
    expect(first!.records.equals(large)).toBe(true)
    expect(first!.records.buffer).not.toBe(second!.records.buffer)
  })
})
