import { describe, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { kafka, kafkaOutput } from '../../src/entry/kafka.js'
import { postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { messageOf } from '../../src/model/errors.js'

const connectionString = 'postgres://db/bank'
const brokers = ['a:9092', 'b:9092']
const source = kafka({ brokers, topic: 'orders' })
const output = kafkaOutput({ brokers: ['b:9092'] })

function parsed(change: Record<string, unknown>) {
  const options = { group: 'enrich', source, handler: () => {}, ...change }
  const config = defineConfig({ store: postgresStore({ connectionString }), consumers: [consumer(options as never)] })
  return parseConfig(config, {}).consumers[0]!
}

function problem(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return messageOf(error)
  }
  throw new Error('it was taken')
}

describe('an output in a config', () => {
  it('is there or not, and is part of the version', () => {
    expect(parsed({}).output).toBeUndefined()
    expect(parsed({ output }).output).toEqual({ to: output, transactional: false })
    expect(parsed({ output, transactional: 'kafka' }).output).toEqual({ to: output, transactional: true })
    const versions = [{}, { output }, { output, transactional: 'kafka' }].map((change) => parsed(change).version)
    expect(new Set(versions).size).toBe(3)
  })

  it.each([
    [{ output: {} }, '.output: must be an output, for example kafkaOutput({ brokers })'],
    [{ transactional: true }, ".transactional: must be 'kafka', or left out"],
    [{ transactional: 'kafka' }, 'needs an output'],
    [{ output, transactional: 'kafka', handler: transactional(() => {}) }, 'no transaction spans Kafka and a database'],
    [{ output: kafkaOutput({ brokers: ['c:9092'] }), transactional: 'kafka' }, 'in the same cluster'],
    [
      { output, transactional: 'kafka', source: postgresStream({ connectionString, stream: 'orders' }) },
      'needs a source and an output in Kafka, not postgres and kafka',
    ],
    [{ output, transactional: 'kafka', commit: 'manual' }, 'does not go with commit: manual()'],
  ])('refuses %#, and says why', (change, why) => {
    const text = problem(() => parsed(change))
    expect(text).toContain("consumers[0] (group 'enrich')")
    expect(text).toContain(why)
  })

  it.each([
    [{ brokers: [] }, 'kafkaOutput().brokers'],
    [{ brokers, topic: 'orders' }, 'kafkaOutput().topic: is named by produce'],
    [{ brokers, compression: 'zip' }, "kafkaOutput().compression: must be 'none' or 'gzip'"],
    [{ brokers, maxBuffered: 'lots' }, 'kafkaOutput().maxBuffered'],
    [{ brokers, deliveryTimeout: 'soon' }, 'kafkaOutput().deliveryTimeout'],
    [{ brokers, acks: 1 }, "unknown option 'acks'"],
  ])('refuses the options %#, and says what is allowed', (options, text) => {
    expect(problem(() => kafkaOutput(options as never))).toContain(text)
  })

  it('never shows a login', () => {
    const sasl = { mechanism: 'plain', username: 'me', password: 'SECRET' } as const
    expect(JSON.stringify(kafkaOutput({ brokers, sasl }))).not.toContain('SECRET')
  })
})
