import { describe, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { everyN, periodic } from '../../src/config/strategy.js'
import { kafka, kafkaOutput, kafkaStore } from '../../src/entry/kafka.js'
import { postgresDatabase, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { rabbitmq, rabbitmqStore } from '../../src/entry/rabbitmq.js'
import { type TransactionalFunction, transactional } from '../../src/handlers/handler.js'
import { bytes, json, text } from '../../src/reading/value.js'

const connectionString = 'postgres://db/bank'
const least = { brokers: ['b:9092'], topic: 'orders' }
const source = kafka(least)
const store = postgresStore({ connectionString })
const handler = () => {}
const minute = 60_000

function parsed(change: object, rest: object = {}) {
  const options = { group: 'billing', source, handler, ...change }
  return parseConfig(defineConfig({ store, consumers: [consumer(options as never)], ...rest } as never), {})
}

const refused = (change: object, words: string, rest?: object) =>
  expect(() => parsed(change, rest)).toThrow(words === '' ? words : new RegExp(`(^|\\n)${escaped(words)}`))
const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
const ofConsumer = (words: string) => `consumers[0] (group 'billing')${words}`

describe('a function of a consumer', () => {
  const inTransaction: TransactionalFunction = () => {}
  const database = postgresDatabase({ connectionString })
  const async = async () => true

  it.each<[object, string]>([
    [
      { handler: transactional },
      '.handler: must be a function, or transactional(function); this is transactional itself',
    ],
    [{ handler: function* () {} }, '.handler: must be a function, or transactional(function); this is a generator'],
    [
      { handler: transactional(async function* () {} as never) },
      '.handler: must be a function, or transactional(function); in transactional(...) this is a generator',
    ],
    [
      { handler: class Billing {} },
      '.handler: must be a function, or transactional(function); this is a class, which can only be called with new',
    ],
    [
      { until: class Last {} },
      ".until: must be 'head', or a function that returns true for the last message; this is a class",
    ],
    [
      { handler: transactional(inTransaction, { databse: database } as never) },
      ".handler: transactional(..., options): unknown option 'databse'; did you mean 'database'?",
    ],
    [
      { handler: transactional(inTransaction, database as never) },
      '.handler: transactional(..., options) was given a database itself: write transactional(..., { database })',
    ],
    [{ until: async }, ".until: must be 'head', or a function that returns true for the last message; this is async"],
    [
      { until: function* () {} },
      ".until: must be 'head', or a function that returns true for the last message; this is a",
    ],
    [
      { until: 'haed' },
      ".until: must be 'head', or a function that returns true for the last message, not 'haed'; did you mean 'head'?",
    ],
    [
      { handler: transactional(inTransaction), dedupe: { key: async } },
      '.dedupe.key: must be a function from a message to its key; this is async',
    ],
    [
      { commit: everyN },
      ".commit: must be 'afterBatch', 'afterEach', everyN(messages), periodic(interval) or manual(interval); this is everyN itself",
    ],
  ])('that would never do its work is refused: %o', (change, words) => refused(change, ofConsumer(words)))
})

describe('a misspelled option', () => {
  it.each<[object, string, object?]>([
    [{ concurency: 1 }, ofConsumer(": unknown option 'concurency'; did you mean 'concurrency'?")],
    [{ heartbeat: '3s' }, ofConsumer(": unknown option 'heartbeat'; did you mean 'heartbeatTimeout'?")],
    [{ batch: { maxMesages: 1 } }, ofConsumer(".batch: unknown option 'maxMesages'; did you mean 'maxMessages'?")],
    [{ retry: { backof: 2 } }, ofConsumer(".retry: unknown option 'backof'; did you mean 'backoff'?")],
    [{ start: { ofset: 3 } }, ofConsumer(".start: unknown option 'ofset'; did you mean 'offset'?")],
    ...(
      [
        ['latest', 'last'],
        ['end', 'last'],
        ['earliest', 'first'],
        ['beginning', 'first'],
        ['none', 'fail'],
      ] as const
    ).map(([word, meant]): [object, string] => [
      { onOutOfRange: word },
      ofConsumer(`.onOutOfRange: must be 'fail', 'first' or 'last', not '${word}'; did you mean '${meant}'?`),
    ]),
    [
      { onOutOfRange: 'constructor' },
      ofConsumer(".onOutOfRange: must be 'fail', 'first' or 'last', not 'constructor'"),
    ],
    [
      { until: 'latest' },
      ofConsumer(
        ".until: must be 'head', or a function that returns true for the last message, not 'latest'; did you mean 'head'?",
      ),
    ],
    [
      { start: 'frist' },
      ofConsumer(
        ".start: must be 'first', 'last', 'next', { offset } or { timestamp }, not 'frist'; did you mean 'first'?",
      ),
    ],
    [
      { start: 'earliest' },
      ofConsumer(
        ".start: must be 'first', 'last', 'next', { offset } or { timestamp }, not 'earliest'; did you mean 'first'?",
      ),
    ],
    [
      { start: 'latest' },
      ofConsumer(
        ".start: must be 'first', 'last', 'next', { offset } or { timestamp }, not 'latest'; did you mean 'next'?",
      ),
    ],
    [
      { start: 1400 },
      ofConsumer(
        ".start: must be 'first', 'last', 'next', { offset } or { timestamp }, not 1400; did you mean { offset: 1400 }?",
      ),
    ],
    [
      { start: '2026-07-01' },
      ofConsumer(
        ".start: must be 'first', 'last', 'next', { offset } or { timestamp }, not '2026-07-01'; did you mean { timestamp: '2026-07-01' }?",
      ),
    ],
    [{}, 'temporal: must be an object with options, not text', { temporal: 'localhost:7233' }],
    [
      { commit: 'afterbatch' },
      ofConsumer(
        ".commit: must be 'afterBatch', 'afterEach', everyN(messages), periodic(interval) or manual(interval), not 'afterbatch'; did you mean 'afterBatch'?",
      ),
    ],
    [
      { commit: { everyn: 3 } },
      ofConsumer(
        ".commit: must be 'afterBatch', 'afterEach', everyN(messages), periodic(interval) or manual(interval), not an object; did you mean 'everyN'?",
      ),
    ],
    [{ commit: { everyN: 3, periodc: 1 } }, ofConsumer(".commit: unknown option 'periodc'")],
    [
      { onOutOfRange: 'frst' },
      ofConsumer(".onOutOfRange: must be 'fail', 'first' or 'last', not 'frst'; did you mean 'first'?"),
    ],
    [{}, "unknown option 'taskqueue'", { taskqueue: 'a' }],
    [{}, "temporal: unknown option 'adress'; did you mean 'address'?", { temporal: { adress: 'a:1' } }],
    [
      {},
      "temporal.tls: unknown option 'servername'; did you mean 'serverName'?",
      { temporal: { tls: { servername: 'a' } } },
    ],
  ])('is refused with the one that was meant: %o', (change, words, rest) =>
    refused(change, words.startsWith('unknown') ? `the config: ${words}` : words, rest),
  )

  it.each<[() => unknown, string]>([
    [
      () => kafka({ ...least, ssl: { rejectUnauthorised: false } } as never),
      "kafka().ssl: unknown option 'rejectUnauthorised'; did you mean 'rejectUnauthorized'?",
    ],
    [
      () => kafka({ ...least, sasl: { mechanism: 'plain', username: 'a', password: 'b', pasword: 'c' } } as never),
      "kafka().sasl: unknown option 'pasword'; did you mean 'password'?",
    ],
    [() => kafka({ ...least, sasl: { mechanism: 'PLAIN' } } as never), "did you mean 'plain'?"],
    [
      () => kafkaOutput({ brokers: least.brokers, compresion: 'gzip' } as never),
      "kafkaOutput(): unknown option 'compresion'; did you mean 'compression'?",
    ],
    [
      () => kafkaOutput({ brokers: least.brokers, value: json() } as never),
      "kafkaOutput(): unknown option 'value'; there are brokers",
    ],
    [
      () => kafkaStore({ brokers: least.brokers, databse: 1 } as never),
      "kafkaStore(): unknown option 'databse'; did you mean 'database'?",
    ],
    [() => rabbitmq({ stream: 'a', key: 'messageid' } as never), "or { header: 'name' }; did you mean 'message-id'?"],
    [
      () => rabbitmq({ stream: 'a', key: { headr: 'a', header: 'b' } } as never),
      "rabbitmq().key: unknown option 'headr'; did you mean 'header'?",
    ],
    [
      () => rabbitmqStore({ stream: 'a', database: postgresDatabase({ connectionString }) } as never),
      "rabbitmqStore(): unknown option 'stream'; there are url",
    ],
    [
      () => postgresStore({ connectionString, poolsize: 3 } as never),
      "unknown option 'poolsize'; did you mean 'poolSize'?",
    ],
    [
      () => postgresStream({ connectionString, stream: 'a', pollinterval: 3 } as never),
      "unknown option 'pollinterval'; did you mean 'pollInterval'?",
    ],
  ])('of a log is refused with the one that was meant: %o', (make, words) => expect(make).toThrow(words))
})

describe('a value', () => {
  it.each<[object, string, object?]>([
    [
      { retry: { initialInterval: '10s', maximumInterval: '5s' } },
      ofConsumer('.retry.maximumInterval: 5000 ms is shorter than retry.initialInterval, 10000 ms'),
    ],
    [{ retry: { backoff: Number.POSITIVE_INFINITY } }, ofConsumer('.retry.backoff: must be a number, not Infinity')],
    [{ retry: { backoff: 0.5 } }, ofConsumer('.retry.backoff: must be at least 1, not 0.5')],
    [
      { chunk: { fetchBytes: '64MB' } },
      ofConsumer(".chunk.fetchBytes: 67108864 bytes is more than the config's memory, 33554432 bytes"),
    ],
    [
      { chunk: { maxMessages: 11 }, batch: { maxMessages: 10 } },
      ofConsumer('.chunk.maxMessages: 11 is more than batch.maxMessages, 10'),
    ],
    [{ chunkTimeout: '2s' }, ofConsumer('.chunkTimeout: 2000 ms is not longer than chunk.targetDuration, 2000 ms')],
    [
      { chunkTimeout: 300 },
      ofConsumer(".chunkTimeout: 300 is 300 milliseconds; did you mean '300s'? For 300 milliseconds, write '300ms'"),
    ],
    [
      { heartbeatTimeout: 10 },
      ofConsumer(".heartbeatTimeout: 10 is too short: must be at least 1s; did you mean '10s'?"),
    ],
    [{ heartbeatTimeout: '2d' }, ofConsumer(".heartbeatTimeout: '2d' is too long: must be at most 1d")],
    [
      { batch: { maxDuration: 30 } },
      ofConsumer(".batch.maxDuration: 30 is too short: must be at least 100ms; did you mean '30s'?"),
    ],
    [{ batch: { maxMessages: Number.NaN } }, ofConsumer('.batch.maxMessages: must be a whole number, not NaN')],
    [{ slices: 5000 }, ofConsumer('.slices: must be at most')],
    [
      { commit: periodic(5) },
      ofConsumer(".commit.periodic: 5 is too short: must be at least 10ms; did you mean '5s'?"),
    ],
    [
      { start: { timestamp: 1_753_000_000 } },
      ofConsumer(
        '.start: timestamp 1753000000 lies before 2000: it is taken as milliseconds since 1970; were seconds meant? Then write 1753000000000',
      ),
    ],
    [
      { start: { timestamp: new Date(1_753_000_000) } },
      ofConsumer('.start: timestamp 1970-01-21T06:56:40.000Z lies before 2000'),
    ],
    [{ start: { timestamp: Date.now() + 2 * minute } }, ofConsumer('.start: timestamp')],
    [
      { start: { timestamp: '2926-01-01' } },
      ofConsumer(
        ".start: timestamp '2926-01-01' lies in the future (2926-01-01T00:00:00.000Z); for messages from now on, say 'next'",
      ),
    ],
    [
      { start: { timestamp: '12/11/2026' } },
      ofConsumer(".start: timestamp '12/11/2026' is not a time; use a Date, ISO text like '2026-07-01T08:00:00Z'"),
    ],
    [{ start: { timestamp: null } }, ofConsumer('.start: timestamp null is not a time')],
    [{ start: { offset: 1.5 } }, ofConsumer('.start: offset 1.5 is not a whole number from 0 up')],
    [
      { start: { offset: 2 ** 60 } },
      ofConsumer('.start: offset 1152921504606847000 is too large for a number to be exact'),
    ],
    [{ start: { offset: 2n ** 63n } }, ofConsumer('.start: offset 9223372036854775808 is too large')],
    [
      { start: { offset: 1, timestamp: 1 } },
      ofConsumer(".start: must be 'first', 'last', 'next', { offset } or { timestamp }: not both"),
    ],
    [{}, "shutdownTimeout: 30 is 30 milliseconds; did you mean '30s'?", { shutdownTimeout: 30 }],
    [{}, "connectTimeout: '30 seconds' is not a duration", { connectTimeout: '30 seconds' }],
    [{}, 'memory: Infinity is not a size', { memory: Number.POSITIVE_INFINITY }],
    [
      {},
      "temporal.dataConverter.payloadConverterPath: can't be used (all that Tidemark keeps in Temporal is plain JSON); encrypt or compress with payloadCodecs: Tidemark's workflows are bundled when it is built",
      { temporal: { dataConverter: { payloadConverterPath: '/converter.js' } } },
    ],
    [
      {},
      "temporal.interceptors.workflowModules: can't be used: Tidemark's workflows are bundled when it is built",
      { temporal: { interceptors: { workflowModules: ['/interceptors.js'] } } },
    ],
    [
      {},
      'temporal.dataConverter.payloadCodecs[0]: must be a payload codec: an object with the functions encode and decode',
      { temporal: { dataConverter: { payloadCodecs: [class {}] } } },
    ],
    [
      {},
      'temporal.dataConverter.failureConverterPath: must be an absolute path',
      { temporal: { dataConverter: { failureConverterPath: './failures.js' } } },
    ],
    [{}, 'temporal.namespace: must not be empty', { temporal: { namespace: '' } }],
    [{}, "temporal.address: must be 'host:port'", { temporal: { address: 'http://b:7233' } }],
    [
      {},
      'store: store[0] and store[1] are the same postgres store',
      { store: [store, postgresStore({ connectionString })] },
    ],
    [{}, 'taskQueue: must not be empty', { taskQueue: '' }],
  ])('that can not be meant is refused: %o', (change, words, rest) => refused(change, words, rest))

  it.each<[object, object?]>([
    [{ batch: { maxMessages: 10 } }],
    [{ retry: { initialInterval: '5m' } }],
    [{ chunkTimeout: '1s', chunk: { targetDuration: false } }],
    [{ start: { timestamp: Date.now() } }],
    [{ start: { timestamp: '1970-01-01' } }],
    [{}, { memory: '1MB' }],
    [{}, { shutdownTimeout: '30ms' }],
    [{}, { store: [store, postgresStore({ connectionString: 'postgres://other/bank' })] }],
  ])('that is unusual is taken: %o', (change, rest) => expect(parsed(change, rest).consumers).toHaveLength(1))

  it('that was left out fits those that were given', () => {
    const { settings } = parsed({ retry: { initialInterval: '5m' } }, { memory: '1MB' }).consumers[0]!
    expect(settings.retry.maximumIntervalMs).toBe(5 * minute)
    expect(settings.chunk.fetchBytes).toBe(1024 ** 2)
  })

  it('that may be a secret is never shown', () => {
    const secret = 'hunter2'
    const options: (() => unknown)[] = [
      () => kafka({ ...least, sasl: { mechanism: 'plain', username: 'a', password: 7, more: secret } } as never),
      () => kafka({ ...least, ssl: { passphrase: { secret }, key: secret, ca: 5 } } as never),
      () => rabbitmq({ stream: 'a', url: `x://me:${secret}@b`, password: 5 } as never),
      () => postgresStore({ connectionString: secret }),
      () => parsed({}, { temporal: { apiKey: 5, tls: { key: secret }, address: `me:${secret}@b` } }),
    ]
    for (const make of options) {
      expect(make).toThrow()
      expect(make).not.toThrow(secret)
    }
  })
})

describe("a source's codec", () => {
  const forms = 'kafka().value: must be json(), text(), bytes() or a function'
  it.each<[unknown, string]>([
    [json, `${forms}; this is json itself: call it, json()`],
    [text, `${forms}; this is text itself: call it, text()`],
    [bytes, `${forms}; this is bytes itself: call it, bytes()`],
    [async function* () {}, `${forms}; this is a generator`],
    [function* () {}, `${forms}; this is a generator`],
    [{ name: 'x', decode: function* () {} }, 'kafka().value: its decode must be a function; this is a generator'],
    [7, `${forms}, not 7`],
  ])('that decodes nothing is refused: %o', (value, words) =>
    expect(() => kafka({ ...least, value } as never)).toThrow(words),
  )

  it('is asked for limits of asynchronous work that make sense', () => {
    const refused = (more: object) => expect(() => kafka({ ...least, ...more } as never))
    refused({ decodeConcurrency: 0 }).toThrow('kafka().decodeConcurrency: must be at least 1')
    refused({ decodeConcurrency: 1.5 }).toThrow('kafka().decodeConcurrency: must be a whole number')
    refused({ decodeTimeout: 30 }).toThrow("kafka().decodeTimeout: 30 is 30 milliseconds; did you mean '30s'?")
    refused({ decodeTimeout: 'soon' }).toThrow("kafka().decodeTimeout: 'soon' is not a duration")
    refused({ decodeTimout: '3s' }).toThrow("unknown option 'decodeTimout'; did you mean 'decodeTimeout'?")
  })

  it('json(parse) takes a function', () => {
    const words = 'json(parse): must be a function of the document, for example OrderSchema.parse'
    expect(() => json(function* () {})).toThrow(`${words}; this is a generator`)
    expect(() => json({ parse: () => 1 } as never)).toThrow(`${words}, not an object`)
  })
})
