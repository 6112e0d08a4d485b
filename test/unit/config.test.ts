import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { everyN, manual, periodic } from '../../src/config/strategy.js'
import { kafka, kafkaOutput } from '../../src/entry/kafka.js'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { type TransactionContext, transactional } from '../../src/handlers/handler.js'
import { messageOf } from '../../src/model/errors.js'
import type { OffsetStore, Source } from '../../src/ports/index.js'

const nothing = async (): Promise<never> => {
  throw new Error('a config opens no connection')
}
const database = { kind: 'postgres', describe: { host: 'db' }, connect: nothing }
const store: OffsetStore = { kind: 'postgres', describe: { host: 'db' }, database, connect: nothing }
const source = (stream = 'orders'): Source => ({
  kind: 'kafka',
  stream,
  describe: { brokers: ['b:9092'] },
  connect: nothing,
})
const handler = () => {}

function configWith(change: Record<string, unknown>, rest: Record<string, unknown> = {}): TidemarkConfig {
  const options = { group: 'billing', source: source(), handler, ...change }
  return defineConfig({ store, consumers: [consumer(options as never)], ...rest } as never)
}

function problem(config: TidemarkConfig): string {
  try {
    parseConfig(config, {})
  } catch (error) {
    return messageOf(error)
  }
  throw new Error('the config was taken')
}

describe('a config', () => {
  it('fills in every default', () => {
    const { consumers, temporal, memoryBytes } = parseConfig(configWith({}), {})
    expect(consumers[0]!.settings).toEqual({
      group: 'billing',
      stream: 'orders',
      start: 'first',
      commit: { after: 'batch' },
      outOfRange: 'fail',
      batch: { maxMessages: 1_000_000, maxDurationMs: 30_000, idleGapMs: 2_000, restAfterMs: 60_000 },
      chunk: { maxMessages: 10_000, fetchBytes: 2 * 1024 ** 2, targetMs: 2_000 },
      chunkTimeoutMs: null,
      concurrency: 100,
      heartbeatTimeoutMs: 10_000,
      retry: { initialIntervalMs: 1_000, maximumIntervalMs: 60_000, backoff: 2 },
      failures: {
        attempts: null,
        immediate: 2,
        jitter: 0,
        isolate: false,
        afterLastTry: { policy: 'block' },
        outageAfter: 5,
        crashes: 3,
      },
      errors: 'message',
    })
    expect(temporal).toEqual({ address: '127.0.0.1:7233', namespace: 'default' })
    expect(memoryBytes).toBe(32 * 1024 ** 2)
  })

  it('takes what is shown of errors from the consumer, and else from the whole config', () => {
    const errorsOf = (change: object, rest: Record<string, unknown>) =>
      parseConfig(configWith({ ...change }, rest), {}).consumers[0]!.settings.errors
    expect(errorsOf({}, { errors: 'private' })).toBe('private')
    expect(errorsOf({ errors: 'message' }, { errors: 'private' })).toBe('message')
    expect(errorsOf({ errors: 'private' }, {})).toBe('private')
    expect(problem(configWith({ errors: 'none' }))).toContain("errors: must be 'message' or 'private'")
    expect(problem(configWith({}, { errors: true }))).toContain("errors: must be 'message' or 'private'")
  })

  it('knows the secrets of its parts, and shows them nowhere', () => {
    const connectionString = 'postgres://bank:hunter%402@db/bank'
    const sasl = { mechanism: 'plain', username: 'bank', password: 'kafka-pw' } as const
    const config = defineConfig({
      store: postgresStore({ connectionString }),
      temporal: { apiKey: 'temporal-key' },
      consumers: [
        consumer({
          group: 'a',
          source: kafka({ brokers: ['b:9092'], topic: 'orders', sasl }),
          handler: transactional(handler, {
            database: postgresDatabase({ connectionString: 'postgres://bank@db/bank?password=other-pw' }),
          }),
        }),
        consumer({
          group: 'b',
          source: rabbitmq({
            url: 'rabbitmq-stream://bank:rabbit-pw@b',
            stream: 'orders',
            ssl: { passphrase: 'tls-pw' },
          }),
          output: kafkaOutput({ brokers: ['b:9092'], sasl: { ...sasl, password: 'output-pw' } }),
          handler,
        }),
        consumer({ group: 'c', source: rabbitmq({ stream: 'orders' }), handler }),
      ],
    })
    const { secrets, ...rest } = parseConfig(config, {})
    const known = ['hunter@2', 'temporal-key', 'kafka-pw', 'other-pw', 'rabbit-pw', 'tls-pw', 'output-pw']
    expect([...secrets].sort()).toEqual(known.sort())
    for (const { source, output } of rest.consumers)
      expect(inspect([source, output, rest.store])).not.toMatch(/-pw|hunter/)
  })

  it.each([
    ['afterEach', { after: 'messages', messages: 1 }],
    [everyN(500), { after: 'messages', messages: 500 }],
    [periodic('250ms'), { after: 'interval', intervalMs: 250 }],
    ['manual', { after: 'manual', intervalMs: 5_000 }],
    [manual('1m'), { after: 'manual', intervalMs: 60_000 }],
  ])('commits as %o says', (commit, strategy) => {
    expect(parseConfig(configWith({ commit }), {}).consumers[0]!.settings.commit).toEqual(strategy)
  })

  it.each([
    ['5s', 5_000],
    [false, null],
  ])('lets chunks adapt to %o', (targetDuration, targetMs) => {
    expect(parseConfig(configWith({ chunk: { targetDuration } }), {}).consumers[0]!.settings.chunk).toMatchObject({
      targetMs,
    })
  })

  it('takes the Temporal address from the environment, and from itself before that', () => {
    expect(parseConfig(configWith({}), { TEMPORAL_ADDRESS: 'env:1' }).temporal.address).toBe('env:1')
    const own = configWith({}, { temporal: { address: 'own:1' } })
    expect(parseConfig(own, { TEMPORAL_ADDRESS: 'env:1' }).temporal.address).toBe('own:1')
  })

  it.each([
    [{ batch: { maxDuration: 'soon' } }, "consumers[0] (group 'billing').batch.maxDuration: 'soon' is not a duration"],
    [
      { chunk: { fetchBytes: '8 bananas' } },
      "consumers[0] (group 'billing').chunk.fetchBytes: '8 bananas' is not a size",
    ],
    [
      { chunk: { targetDuration: 'soon' } },
      "consumers[0] (group 'billing').chunk.targetDuration: 'soon' is not a duration",
    ],
    [
      { chunk: { targetDuration: true } },
      "consumers[0] (group 'billing').chunk.targetDuration: must be a duration like '30s', a number of milliseconds, or false",
    ],
    [
      { chunkTimeout: '1ms' },
      "consumers[0] (group 'billing').chunkTimeout: '1ms' is too short: must be at least 100ms",
    ],
    [{ concurrency: 0 }, "consumers[0] (group 'billing').concurrency: must be at least 1"],
    [
      { handler: 'sendInvoice' },
      "consumers[0] (group 'billing').handler: must be a function, or transactional(function)",
    ],
    [
      { handler: transactional('x' as never) },
      "consumers[0] (group 'billing').handler: must be a function, or transactional(function)",
    ],
    [
      { handler: transactional },
      "(group 'billing').handler: must be a function, or transactional(function); this is transactional itself: call it",
    ],
    [
      { handler: transactional(transactional as never) },
      "(group 'billing').handler: must be a function, or transactional(function); this is transactional itself: call it",
    ],
    [
      { handler: Promise.resolve() },
      "(group 'billing').handler: must be a function, or transactional(function); this is a promise",
    ],
    [
      { handler: transactional(Promise.resolve() as never) },
      "(group 'billing').handler: must be a function, or transactional(function); in transactional(...) this is a promise",
    ],
    [
      { handler: async function* () {} },
      "(group 'billing').handler: must be a function, or transactional(function); this is a generator",
    ],
    [
      { handler: undefined },
      "(group 'billing').handler: must be a function, or transactional(function); this is undefined",
    ],
    [
      { handler: transactional(() => {}, { database: 'postgres://db/bank' as never }) },
      "(group 'billing').handler: transactional(..., { database }) must be given a database",
    ],
    [{ source: 'orders' }, "consumers[0] (group 'billing').source: must be a source, for example kafka("],
    [
      { start: 'beginning' },
      "consumers[0] (group 'billing').start: must be 'first', 'last', 'next', { offset } or { timestamp }",
    ],
    [{ start: { offset: -1 } }, 'offset -1 is not a whole number from 0 up'],
    [{ start: { timestamp: 'yesterday' } }, "timestamp 'yesterday' is not a time"],
    [{ start: { timestamp: '2026-02-30' } }, "start: timestamp '2026-02-30' is not a time"],
    [{ start: { timestamp: Number.NaN } }, 'start: '],
    [{ start: { timestamp: -1 } }, "start: timestamp -1 lies before 1970; say 'first'"],
    [{ start: { timestamp: new Date(Number.NaN) } }, 'start'],
    [{ group: 'a\tb' }, "consumers[0] (group 'a\tb').group: must not contain control characters"],
    [{ group: '' }, "consumers[0] (group '').group: must not be empty"],
    [
      { commit: 'sometimes' },
      "consumers[0] (group 'billing').commit: must be 'afterBatch', 'afterEach', everyN(messages)",
    ],
    [{ commit: everyN(0) }, "consumers[0] (group 'billing').commit.everyN: must be at least 1"],
    [{ commit: periodic('now') }, "consumers[0] (group 'billing').commit.periodic: 'now' is not a duration"],
    [
      { until: 'tail' },
      "consumers[0] (group 'billing').until: must be 'head', or a function that returns true for the last message",
    ],
    [{ onOutOfRange: 'skip' }, "consumers[0] (group 'billing').onOutOfRange: must be 'fail', 'first' or 'last'"],
    [{ heartbeat: '3s' }, "consumers[0] (group 'billing'): unknown option 'heartbeat'"],
  ])('refuses %o and says where and why', (change, words) => {
    expect(problem(configWith(change))).toContain(words)
  })

  it('tells kinds of handlers apart', () => {
    const kindOf = (handler: unknown) => parseConfig(configWith({ handler }), {}).consumers[0]!.handler
    expect(kindOf(handler)).toEqual({ kind: 'chunk', handle: handler })
    expect(kindOf(transactional(handler))).toEqual({ kind: 'transactional', handle: handler })
    expect(kindOf(transactional(handler, { database }))).toEqual({ kind: 'transactional', handle: handler, database })
    expect(kindOf({ kind: 'transactional', handle: handler })).toEqual({ kind: 'transactional', handle: handler })
  })

  it('takes transactional(...) once', () => {
    const twice = transactional(transactional(handler))
    expect(problem(configWith({ handler: twice }))).toContain('transactional(...) again: leave one of the two out')
  })

  it('a transactional handler can be called with a transaction of a test’s own', async () => {
    const query = vi.fn(async () => ({ rows: [], rowCount: 0 }))
    const insert = transactional(async (_, { tx }) => void (await tx.query('insert')))
    await insert([], { tx: { query } } as unknown as TransactionContext)
    expect(query).toHaveBeenCalledWith('insert')
  })

  it('refuses two consumers with the same group and stream, naming both', () => {
    const one = consumer({ group: 'billing', source: source(), handler })
    const other = consumer({ group: 'billing', source: source('payments'), handler })
    const text = problem(defineConfig({ store, consumers: [one, other, one] }))
    expect(text).toContain("consumers[0] and consumers[2] are the same group 'billing' on the same stream 'orders'")
  })

  it('names every problem at once', () => {
    const lines = problem(configWith({ concurrency: 0, handler: 1 })).split('\n')
    expect(lines).toHaveLength(2)
  })
})
