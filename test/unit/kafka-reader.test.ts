import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { parseKafka } from '../../src/kafka/client/options.js'
import type { Ask } from '../../src/kafka/source/ask.js'
import { readFetchResponse } from '../../src/kafka/source/fetch.js'
import type { PartitionLink } from '../../src/kafka/source/partition-link.js'
import { KafkaReader } from '../../src/kafka/source/reader.js'
import type { TidemarkError } from '../../src/model/errors.js'
import { TruncatedLog } from '../../src/model/refusals.js'
import { decodingOf } from '../../src/reading/late-value.js'
import { text } from '../../src/reading/value.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { batch, fetchResponse, marker, type TestPartition } from '../support/kafka-batches.js'
import { readOptions } from '../support/kafka-ground.js'
import { silentLog } from '../support/silent-log.js'
import { virtualTime } from '../support/virtual-time.js'
import { waitFor } from '../support/wait-for.js'

type Answer = Partial<TestPartition> | Error | 'throttled'

type Wanted = Omit<Ask, 'partition' | 'leaderEpoch'>

/** A broker that gives the answers it was told, one for each request; behind them, nothing ever comes. */
class ScriptedLink {
  readonly settings = parseKafka({ brokers: ['b:1'], topic: 'orders', fetchMaxWait: 10, rackId: 'a' })
  readonly requests: Wanted[] = []
  /** That of the leader, and where its epochs end. */
  leaderEpoch = -1
  ends: { readonly epoch: number; readonly offset: bigint } | null = null
  readonly questions: number[] = []
  readonly atFollower = false
  readonly preferred: number[] = []
  moves = 0
  readonly #closed = new AbortController()

  constructor(private readonly answers: Answer[]) {}

  async fetch(ask: Wanted) {
    this.requests.push(ask)
    const answer = this.answers.shift()
    if (answer instanceof Error) throw answer
    if (answer === 'throttled') return null
    if (!answer) await sleep(60_000, undefined, { signal: this.#closed.signal })
    return readFetchResponse(fetchResponse([{ partition: 0, highWatermark: 100, ...answer }])).partitions[0]!
  }
  async findLeader() {
    return this.leaderEpoch
  }
  async endOf(epoch: number) {
    this.questions.push(epoch)
    return this.ends
  }
  async epochAt() {
    return null
  }
  async bounds() {
    return { first: 50n, head: 50n }
  }
  async prefer(nodeId: number) {
    this.preferred.push(nodeId)
    return true
  }
  async leaderMoved() {
    this.moves++
  }
  close() {
    this.#closed.abort()
  }
}

describe('a Kafka reader', () => {
  const readers: KafkaReader<string>[] = []
  afterEach(() => Promise.all(readers.splice(0).map((reader) => reader.close())))

  const limits = { decodeConcurrency: 16, decodeTimeoutMs: 30_000 }
  function reading(
    answers: Answer[],
    { from = 0n, fetchBytes = 1_000, signal = new AbortController().signal, witness = null as string | null } = {},
  ) {
    const link = new ScriptedLink(answers)
    const budget = new SharedBudget(1_000_000)
    const log = silentLog()
    const options = readOptions('orders', { fetchBytes, budget, signal, witness })
    const reader = new KafkaReader(from, options, link as unknown as PartitionLink, decodingOf(text(), limits), log)
    readers.push(reader)
    const next = (maxMessages = 100) => reader.next({ maxMessages, waitMs: 5_000 })
    return { link, budget, log, reader, next }
  }
  const records = (from: number, count: number) =>
    batch(Array.from({ length: count }, (_, i) => ({ offset: from + i, value: `m${from + i}` })))
  const values = (chunk: Awaited<ReturnType<KafkaReader<string>['next']>>) => chunk!.messages.map(({ value }) => value)

  it('drops the records that a batch holds below its position', async () => {
    const { next } = reading([{ records: records(0, 5) }], { from: 3n })
    const chunk = await next()
    expect(values(chunk)).toEqual(['m3', 'm4'])
    expect([chunk!.from, chunk!.next]).toEqual([3n, 5n])
  })

  it('moves on behind markers, aborted records and emptied batches, though no message came', async () => {
    const set = Buffer.concat([
      batch([{ offset: 0, value: 'a' }], { producerId: 7, transactional: true }),
      marker(1, 7, 'abort'),
      batch([], { base: 2, last: 9 }),
    ])
    const { next } = reading([{ records: set, aborted: [{ producerId: 7, firstOffset: 0 }] }])
    expect(await next()).toMatchObject({ from: 0n, next: 10n, messages: [] })
  })

  it('hands a fetch out in chunks, and pays it back with the last one', async () => {
    const { next, budget, link } = reading([{ records: records(0, 5) }])
    const chunks = [await next(2), await next(2), await next(2)]
    expect(chunks.map((chunk) => [chunk!.from, chunk!.next])).toEqual([
      [0n, 2n],
      [2n, 4n],
      [4n, 5n],
    ])
    await waitFor(() => link.requests.length === 2, { what: 'the fetch ahead' })
    const withAll = budget.used
    for (const chunk of chunks.slice(0, 2)) chunk!.release()
    expect(budget.used).toBe(withAll)
    chunks[2]!.release()
    expect(budget.used).toBe(1_000) // the fetch ahead
  })

  it('tells each message as it is in the log, and so the one that can not be decoded', async () => {
    const headers = [['h', 'ß']] as const
    const written = ['ä', Buffer.from([0xff])].map((value, i) => ({
      offset: 3 + i,
      key: 'k',
      value,
      timestamp: i,
      headers,
    }))
    const { next } = reading([{ records: batch(written, { codec: 'gzip' }) }])
    const chunk = await next()
    const raw = { key: Buffer.from('k'), headers: [['h', Buffer.from('ß')]] }
    expect(chunk!.raw(chunk!.messages[0]!)).toEqual({ ...raw, offset: 3n, timestamp: 0, value: Buffer.from('ä') })
    expect(chunk!.poison!.raw).toEqual({ ...raw, offset: 4n, timestamp: 1, value: Buffer.from([0xff]) })
  })

  it('works off what stands in front of a damaged batch, asks again for it, and then stops', async () => {
    const damaged = Buffer.from(records(2, 1))
    damaged[30]! ^= 1
    const set = Buffer.concat([records(0, 2), damaged])
    const { next, link } = reading([{ records: set }, { records: damaged }, { records: damaged }])
    expect(values(await next())).toEqual(['m0', 'm1'])
    const error = await next().catch((error) => error)
    expect(error).toMatchObject({ code: 'CORRUPT_DATA', place: { offset: '2', stream: 'orders', partition: 0 } })
    expect(error.message).toContain('its checksum (CRC-32C) is wrong')
    expect(link.moves).toBe(1)
  })

  it('stops in front of a damaged record, behind whose batch a new reader reads on', async () => {
    const three = [0, 1, 2].map((offset) => ({ offset, value: `m${offset}` }))
    const cut = batch(three, { last: 9, compress: (whole) => whole.subarray(0, -3) })
    const chunk = await reading([{ records: Buffer.concat([cut, records(10, 1)]) }]).next()
    expect(values(chunk)).toEqual(['m0', 'm1'])
    expect(chunk).toMatchObject({ next: 2n, poison: { error: { code: 'CORRUPT_DATA' }, raw: null, next: 10n } })
    expect(values(await reading([{ records: records(10, 1) }], { from: chunk!.poison!.next }).next())).toEqual(['m10'])
  })

  it('takes a broker that only throttles for no interruption', async () => {
    const { next, link, log } = reading(['throttled', { records: records(0, 1) }])
    expect(values(await next())).toEqual(['m0'])
    expect(link.moves).toBe(0)
    expect(log.lines.filter(({ level }) => level !== 'debug')).toEqual([])
  })

  it('gets over damage on the wire', async () => {
    const damaged = Buffer.from(records(0, 1))
    damaged[30]! ^= 1
    const { next, log } = reading([{ records: damaged }, { records: records(0, 1) }])
    expect(values(await next())).toEqual(['m0'])
    const told = log.lines.filter(({ level }) => level !== 'debug').map(({ message }) => message)
    expect(told).toEqual(['reading orders[0] is interrupted; trying again', 'reading orders[0] goes on'])
  })

  it('asks for more when an old broker cuts even the first batch', async () => {
    const whole = records(0, 100)
    const { next, link } = reading([{ records: whole.subarray(0, 1_000) }, { records: whole }])
    expect(values(await next())).toHaveLength(100)
    expect(link.requests.map(({ maxBytes }) => maxBytes).slice(0, 2)).toEqual([1_000, 2_000])
  })

  it('asks for little at first and where nothing is new, and for all it may where there is more', async () => {
    const script = [
      { records: records(0, 1), highWatermark: 10 },
      { records: records(1, 9), highWatermark: 10 },
    ]
    const { next, link } = reading(script, { fetchBytes: 600_000 })
    await next()
    await next()
    await waitFor(() => link.requests.length === 3, { what: 'the fetch ahead' })
    expect(link.requests.map(({ maxBytes }) => maxBytes)).toEqual([512 * 1024, 600_000, 64 * 1024])
  })

  it.each([3, 5, 6, 7, 74, 75, 78, 99])('gets over error %i by asking who leads', async (errorCode) => {
    const { next, link } = reading([{ errorCode }, new Error('closed'), { records: records(0, 1) }])
    expect(values(await next())).toEqual(['m0'])
    expect(link.moves).toBe(2)
  })

  it('believes OUT_OF_RANGE when it is said again, and names the bounds', async () => {
    const { next } = reading(
      Array.from({ length: 4 }, () => ({ errorCode: 1 })),
      { from: 7n },
    )
    const error = await next().catch((error) => error)
    expect(error).toMatchObject({ code: 'OUT_OF_RANGE', place: { offset: '7' } })
    expect(error.message).toContain(
      'position 7 is out of range: the log is empty, and its next offset is 50; retention has deleted',
    )
  })

  it.each([
    [
      3,
      'STREAM_NOT_FOUND',
      "Kafka at b:1 has no partition 0 of topic 'orders': create it (kafka-topics.sh --create --topic orders), or correct 'topic' in the config",
    ],
    [
      29,
      'AUTH_FAILED',
      "Kafka at b:1 refused this client: check 'sasl' and 'ssl' in the config, and the right to read topic 'orders'",
    ],
  ])('stops after error %i in nine answers in a row: %s', async (errorCode, code, message) => {
    virtualTime.begin()
    try {
      const { reader, log } = reading(
        Array.from({ length: 9 }, () => ({ errorCode })),
        { from: 7n },
      )
      const error = await virtualTime.until(
        reader.next({ maxMessages: 1, waitMs: 60_000 }).catch((error: TidemarkError) => error),
      )
      expect(error).toMatchObject({
        code,
        message: `orders[0], group readers: ${message}`,
        place: { group: 'readers', stream: 'orders', partition: 0, offset: '7' },
      })
      expect(log.lines.map(({ message }) => message)).toEqual(['reading orders[0] is interrupted; trying again'])
    } finally {
      virtualTime.end()
    }
  })

  describe('whose leader changes', () => {
    const of = (epoch: number, from: number, count: number) =>
      batch(
        Array.from({ length: count }, (_, i) => ({ offset: from + i, value: `m${from + i}` })),
        { epoch },
      )

    it('asks the new one about the last epoch that it read, and reads on', async () => {
      const { next, link } = reading([{ records: of(5, 0, 3) }, { errorCode: 74 }, { records: of(6, 3, 2) }])
      link.leaderEpoch = 5
      await next()
      link.leaderEpoch = 6
      link.ends = { epoch: 5, offset: 3n }
      expect(values(await next())).toEqual(['m3', 'm4'])
      expect(link.questions).toEqual([5])
    })

    it('stops where the new one lacks what it read, once that was said again, and says where the log was cut', async () => {
      const { next, link } = reading([{ records: of(5, 0, 9) }, { errorCode: 74 }, { records: of(6, 9, 2) }])
      link.leaderEpoch = 5
      await next()
      link.leaderEpoch = 6
      link.ends = { epoch: 5, offset: 4n }
      const error = await next().catch((error) => error)
      expect(error).toBeInstanceOf(TruncatedLog)
      expect(error).toMatchObject({ code: 'OUT_OF_RANGE', at: 4n, place: { group: 'readers', offset: '9' } })
      expect(error.message).toBe(
        'orders[0], group readers: the log was cut at offset 4, before position 9: messages that were handled are lost, ' +
          'and others may have taken their offsets. Choose where to resume: ' +
          'tidemark reset --group readers --stream orders --partition 0 --to 4',
      )
      expect(link.questions).toHaveLength(4)
    })

    it('asks at its start about what an earlier reader has read', async () => {
      const { next, link } = reading([{ records: of(6, 9, 2) }], { from: 9n, witness: 'e5' })
      link.leaderEpoch = 6
      link.ends = { epoch: 5, offset: 4n }
      await expect(next()).rejects.toMatchObject({ code: 'OUT_OF_RANGE', at: 4n })
    })

    it('does not believe in a leader from before, however often brokers name it', async () => {
      virtualTime.begin()
      try {
        const { reader, link } = reading([{ records: of(6, 9, 2) }], { from: 9n, witness: 'e7' })
        link.leaderEpoch = 6
        const read = reader.next({ maxMessages: 1, waitMs: 60_000 }).catch((error: TidemarkError) => error)
        expect(await virtualTime.until(read)).toMatchObject({ code: 'OUT_OF_RANGE', at: null })
        expect(link.moves).toBe(8)
        expect(link.requests).toEqual([])
      } finally {
        virtualTime.end()
      }
    })

    it('tells with each chunk which epoch wrote what lies right before its end', async () => {
      const set = Buffer.concat([of(3, 0, 2), of(5, 2, 1), batch([], { base: 3, last: 9, epoch: 7 })])
      const { next } = reading([{ records: set }])
      expect(await next(1)).toMatchObject({ next: 1n, witness: 'e3' })
      expect(await next(1)).toMatchObject({ next: 2n, witness: 'e3' })
      expect(await next(2)).toMatchObject({ next: 10n, witness: 'e7' })
    })

    it('tells of the epoch in front of a message that can not be decoded', async () => {
      const damaged = batch([{ offset: 2, value: 'x' }], { epoch: 5, compress: (whole) => whole.subarray(0, -1) })
      const { next } = reading([{ records: Buffer.concat([of(3, 0, 2), damaged]) }])
      expect(await next()).toMatchObject({ next: 2n, witness: 'e3', poison: { next: 3n } })
    })
  })

  it('goes to the replica that the leader names', async () => {
    const { next, link } = reading([{ preferredReplica: 4 }, { records: records(0, 1) }])
    expect(values(await next())).toEqual(['m0'])
    expect(link.preferred).toEqual([4])
  })

  it('whose fetch ahead fails while nobody asks is no unhandled rejection, and says so when asked', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      const out = Array.from({ length: 4 }, () => ({ errorCode: 1 }))
      const { next, link, budget } = reading([{ records: records(0, 1) }, ...out])
      const chunk = await next()
      chunk!.release()
      await waitFor(() => link.requests.length === 5 && budget.used === 0, { what: 'the fetch ahead to fail' })
      await turn()
      expect(unhandled).toEqual([])
      await expect(next()).rejects.toMatchObject({ code: 'OUT_OF_RANGE' })
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  it('leaves nothing on a long-lived signal', async () => {
    const { signal } = new AbortController()
    const listeners = new Set<unknown>()
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners.add(args[1])
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners.delete(args[1])
      removeEventListener.apply(signal, args)
    }
    const answers = Array.from({ length: 20 }, (_, i) => ({ records: records(i, 1) }))
    const { reader, next } = reading(answers, { signal })
    for (let i = 0; i < 20; i++) (await next())!.release()
    expect(listeners.size).toBe(1)
    await reader.close()
    expect(listeners.size).toBe(0)
  })

  it('gives everything back when it closes in the middle of a fetch', async () => {
    const { reader, next, budget, link } = reading([{ records: records(0, 4) }])
    const chunk = await next(2)
    const pending = next(2).then((rest) => {
      rest?.release()
      return next()
    })
    await waitFor(() => link.requests.length === 2, { what: 'the fetch ahead' })
    await reader.close()
    expect(await pending).toBeNull()
    chunk!.release()
    chunk!.release()
    expect(budget.used).toBe(0)
  })
})
