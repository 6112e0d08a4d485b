import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FetchRequest } from '../../src/kafka/client/broker-link.js'
import type { Leaders } from '../../src/kafka/client/leaders.js'
import type { LinkPool } from '../../src/kafka/client/link-pool.js'
import { parseKafka } from '../../src/kafka/client/options.js'
import type { Offsets } from '../../src/kafka/source/offsets.js'
import { Watcher } from '../../src/kafka/source/watcher.js'
import { TidemarkError } from '../../src/model/errors.js'
import { batch, fetchResponse, type TestPartition } from '../support/kafka-batches.js'
import { silentLog } from '../support/silent-log.js'
import { virtualTime } from '../support/virtual-time.js'
import { waitFor } from '../support/wait-for.js'

describe('partitions that wait together', () => {
  const records = batch([{ offset: 0, value: 'x' }])

  /** A watcher of one broker whose partitions are empty; the test answers its long polls. */
  function watched(options: { readUncommitted?: boolean } = {}) {
    const settings = parseKafka({ brokers: ['127.0.0.1:9092'], topic: 'orders', ...options })
    const lookedUp: number[][] = []
    const polls: { request: FetchRequest; answer: (partitions: readonly TestPartition[]) => void }[] = []
    const link = {
      fetch: (_: string, request: FetchRequest) =>
        new Promise<Buffer>((resolve) => {
          polls.push({ request, answer: (partitions) => resolve(fetchResponse(partitions)) })
        }),
    }
    const links = { use: (_: unknown, work: (with_: typeof link) => unknown) => work(link) } as unknown as LinkPool
    const leaders = {
      of: async () => ({ nodeId: 1, host: '127.0.0.1', port: 9092 }),
      refresh: async () => ({}),
    } as unknown as Leaders
    const failures = new Map<number, TidemarkError>()
    const offsets = {
      readable: async (partitions: readonly number[]) => {
        lookedUp.push([...partitions])
        const well = partitions.filter((partition) => !failures.has(partition))
        const empty = new Map(well.map((partition) => [partition, 0n]))
        const failed = partitions.filter((partition) => failures.has(partition))
        return {
          readable: empty,
          heads: empty,
          failures: new Map(failed.map((partition) => [partition, failures.get(partition)])),
        }
      },
    } as unknown as Offsets
    const log = silentLog()
    const watcher = new Watcher(links, leaders, offsets, settings, log)
    const woken: number[] = []
    const wait = (partition: number) =>
      void watcher.wait(partition, 0n, new AbortController().signal).then((found) => found && woken.push(partition))
    return { watcher, polls, lookedUp, woken, wait, failures, log }
  }

  const nothing = (partition: number): TestPartition => ({ partition, highWatermark: 0, lastStableOffset: 0 })

  it('are looked up once: a wake-up of one costs the others nothing but the next poll', async () => {
    const { watcher, polls, lookedUp, woken, wait } = watched()
    for (const partition of [0, 1, 2, 3]) wait(partition)
    await waitFor(() => polls.length === 1, { what: 'the first long poll' })
    polls[0]!.answer([
      nothing(0),
      nothing(1),
      { partition: 2, highWatermark: 1, lastStableOffset: 1, records },
      nothing(3),
    ])
    await waitFor(() => polls.length === 2, { what: 'the next long poll' })
    expect(woken).toEqual([2])
    expect(polls[1]!.request.partitions.map(({ partition }) => partition)).toEqual([0, 1, 3])
    expect(lookedUp).toEqual([[0, 1, 2, 3]])
    watcher.close()
  })

  it('leave a lane that is free soon to those that come later, however many wait in the first poll', async () => {
    const { watcher, polls, wait } = watched()
    wait(0)
    await waitFor(() => polls.length === 1, { what: 'the poll of the first' })
    for (const partition of [1, 2, 3]) wait(partition)
    await waitFor(() => polls.length === 2, { what: 'the poll of the others' })
    polls[0]!.answer([nothing(0)])
    await waitFor(() => polls.length === 3, { what: 'the next poll of the first' })
    polls[1]!.answer([1, 2, 3].map(nothing))
    await waitFor(() => polls.length === 4, { what: 'the next poll of the others' })
    expect(polls.map(({ request }) => request.maxWaitMs)).toEqual([500, 100, 100, 500])
    watcher.close()
  })

  it('wake up together where one answer says that several can be read, though it brings the records of one', async () => {
    const { watcher, polls, woken, wait } = watched()
    for (const partition of [0, 1, 2]) wait(partition)
    await waitFor(() => polls.length === 1, { what: 'the first long poll' })
    polls[0]!.answer([
      { partition: 0, highWatermark: 1, lastStableOffset: 1, records },
      nothing(1),
      { partition: 2, highWatermark: 4, lastStableOffset: 4 },
    ])
    await waitFor(() => polls.length === 2, { what: 'the next long poll' })
    expect(woken).toEqual([0, 2])
    watcher.close()
  })

  it.each([
    { readUncommitted: false, woken: [] },
    { readUncommitted: true, woken: [1] },
  ])(
    'behind an open transaction, readUncommitted $readUncommitted wakes up $woken',
    async ({ readUncommitted, woken: expected }) => {
      const { watcher, polls, woken, wait } = watched({ readUncommitted })
      for (const partition of [0, 1]) wait(partition)
      await waitFor(() => polls.length === 1, { what: 'the first long poll' })
      polls[0]!.answer([nothing(0), { partition: 1, highWatermark: 5, lastStableOffset: 0 }])
      await waitFor(() => polls.length === 2, { what: 'the next long poll' })
      expect(woken).toEqual(expected)
      watcher.close()
    },
  )

  describe('in trouble', () => {
    beforeEach(virtualTime.begin)
    afterEach(virtualTime.end)
    const { pass } = virtualTime
    const unreachable = new TidemarkError('UNREACHABLE', 'Kafka is gone')

    it('say so once, and again when the last of them is well', async () => {
      const { watcher, polls, wait, failures, log } = watched()
      for (const partition of [0, 1]) {
        failures.set(partition, unreachable)
        wait(partition)
      }
      await pass(5_000)
      const interrupted = { level: 'warn', message: 'waiting for messages is interrupted; trying again' }
      failures.delete(0)
      await pass(5_000)
      expect(polls.length).toBe(1)
      expect(log.lines).toMatchObject([interrupted])
      failures.delete(1)
      await pass(5_000)
      expect(log.lines).toMatchObject([interrupted, { level: 'info', message: 'waiting for messages goes on' }])
      watcher.close()
    })

    it('for long do not slow down one that fails for the first time', async () => {
      const { watcher, polls, wait, failures } = watched()
      failures.set(0, unreachable)
      wait(0)
      await pass(30_000)
      failures.set(1, unreachable)
      wait(1)
      await pass(1)
      failures.delete(1)
      await pass(60)
      expect(polls.map(({ request }) => request.partitions.map(({ partition }) => partition))).toEqual([[1]])
      watcher.close()
    })

    it('that a reader has to name wake up after nine failures in a row', async () => {
      const { watcher, lookedUp, woken, wait, failures } = watched()
      failures.set(0, new TidemarkError('STREAM_NOT_FOUND', 'Kafka has no such topic'))
      wait(0)
      await pass(60_000)
      expect(woken).toEqual([0])
      expect(lookedUp.length).toBe(9)
      watcher.close()
    })
  })
})
