import { describe, expect, it } from 'vitest'
import { kafka, kafkaStore } from '../../src/entry/kafka.js'
import { parseKafka } from '../../src/kafka/client/options.js'
import { isTidemarkError, messageOf } from '../../src/model/errors.js'

const least = { brokers: ['b:9092'], topic: 'orders' }

function problem(options: unknown): string {
  try {
    parseKafka(options)
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'CONFIG_INVALID') return messageOf(error)
    throw error
  }
  throw new Error('the options were taken')
}

describe('the options of kafka()', () => {
  it('have defaults for all but the brokers and the topic', () =>
    expect(parseKafka(least)).toEqual({
      ...least,
      clientId: 'tidemark',
      decodeConcurrency: 16,
      decodeTimeoutMs: 30_000,
      rackId: '',
      readUncommitted: false,
      groupOffsets: true,
      fetchMaxWaitMs: 500,
      connectionTimeoutMs: 3_000,
      requestTimeoutMs: 30_000,
    }))

  it.each([
    [{ brokers: [] }, 'kafka().brokers: must name at least one broker'],
    [{ brokers: 'b:9092' }, "kafka().brokers: must be a list like ['127.0.0.1:9092']"],
    [{ brokers: ['b:9092', 'c'] }, "kafka().brokers[1]: must be 'host:port'"],
    [{ brokers: ['b:x'] }, "kafka().brokers[0]: must be 'host:port'"],
    [{ brokers: ['user:secret@b:9092'] }, "kafka().brokers[0]: must be 'host:port'"],
    [{ topic: undefined }, 'kafka().topic: must be the name of a topic'],
    [{ topic: 'a b' }, 'kafka().topic: must be a legal topic name'],
    [{ topic: 'x'.repeat(250) }, 'kafka().topic: must be a legal topic name'],
    [{ value: 'json' }, 'kafka().value: must be json(), text(), bytes() or a function'],
    [{ clientId: '' }, 'kafka().clientId: must not be empty'],
    [{ ssl: 'yes' }, 'kafka().ssl: must be true or TLS options'],
    [{ sasl: 'me' }, 'kafka().sasl: must be an object with a mechanism'],
    [{ sasl: { username: 'me' } }, "kafka().sasl.mechanism: must be 'plain', 'scram-sha-256', 'scram-sha-512'"],
    [{ sasl: { mechanism: 'plain', username: 'me' } }, "kafka().sasl.password: must be there for 'plain'"],
    [
      { sasl: { mechanism: 'scram-sha-512', password: 'x' } },
      "kafka().sasl.username: must be there for 'scram-sha-512'",
    ],
    [{ readUncommitted: 'yes' }, 'kafka().readUncommitted: must be true or false'],
    [{ groupOffsets: 'no' }, 'kafka().groupOffsets: must be true or false'],
    [{ fetchMaxWait: 'soon' }, "kafka().fetchMaxWait: 'soon' is not a duration; use '250ms', '30s'"],
    [{ fetchMaxWait: 0 }, 'kafka().fetchMaxWait: 0 is too short: must be at least 10ms'],
    [{ connectionTimeout: -1 }, 'kafka().connectionTimeout: -1 is not a duration'],
    [{ requestTimeout: {} }, "kafka().requestTimeout: must be a duration like '30s', or a number of milliseconds"],
    [{ broker: 'b:9092' }, "kafka(): unknown option 'broker'; did you mean 'brokers'?"],
  ])('refuse %o and say where and why', (change, words) => {
    expect(problem({ ...least, ...change })).toContain(words)
  })

  it('are refused where there are none', () => expect(problem(undefined)).toContain('kafka()'))

  it('name every problem at once', () =>
    expect(problem({ brokers: [], topic: 'a b', rackId: 7 }).split('\n')).toHaveLength(3))

  it.each([
    { sasl: { mechanism: 'plain', username: 'me', password: 'hunter2' }, topic: 'a b' },
    { sasl: { mechanism: 'hunter2' } },
    { sasl: { mechanism: 'plain', username: 'me', password: { hunter2: 1 } } },
    { sasl: 'hunter2' },
    { ssl: { key: 'hunter2' }, topic: 'a b' },
    { ssl: 'hunter2' },
    { brokers: ['me:hunter2@b:9092'] },
  ])('never show a secret: %#', (change) => expect(problem({ ...least, ...change })).not.toContain('hunter2'))

  it('describe the source without its secrets', () => {
    const source = kafka({
      ...least,
      ssl: { key: 'hunter2' },
      sasl: { mechanism: 'plain', username: 'me', password: 'hunter2' },
    })
    expect(source.stream).toBe('orders')
    expect(source.describe).toEqual({
      ...least,
      value: 'json',
      readUncommitted: false,
      tls: true,
      sasl: 'plain',
    })
    expect(JSON.stringify(source)).not.toContain('hunter2')
  })
})

describe('the options of kafkaStore()', () => {
  const database = { kind: 'postgres', describe: {}, connect: async () => Promise.reject(new Error('never')) }

  it.each([
    [{ brokers: ['b:9092'] }, 'kafkaStore().database: must be a database like postgresDatabase('],
    [{ brokers: [], database }, 'kafkaStore().brokers: must name at least one broker'],
    [
      { brokers: ['b:9092'], database, topic: 'orders' },
      "kafkaStore(): unknown option 'topic'; there are brokers, clientId",
    ],
    [undefined, 'kafkaStore().options: must be an object with brokers'],
  ])('refuse %o and say where and why', (options, words) => {
    expect(() => kafkaStore(options as never)).toThrow(words)
  })

  it('describe the store without its secrets', () => {
    const sasl = { mechanism: 'plain', username: 'me', password: 'hunter2' } as const
    const store = kafkaStore({ brokers: ['b:9092'], sasl, database })
    expect(store.describe).toEqual({ brokers: ['b:9092'], tls: false, sasl: 'plain' })
    expect(JSON.stringify(store)).not.toContain('hunter2')
  })
})
