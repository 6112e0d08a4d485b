import { describe, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions, TidemarkOptions } from '../../src/config/options.js'
import { parseConfig } from '../../src/config/parse.js'
import { versionOf, withVersion } from '../../src/config/version.js'
import { json, kafka, kafkaOutput, text } from '../../src/entry/kafka.js'
import { postgresDatabase, postgresStore } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { messageOf } from '../../src/model/errors.js'

const url = (host: string, password = 'secret') => `postgres://tide:${password}@${host}/bank`
const store = (host: string, password?: string) => postgresStore({ connectionString: url(host, password) })
const topic = (change: object = {}) => kafka({ brokers: ['b:9092'], topic: 'orders', value: json(), ...change })
const elsewhere = transactional(() => {}, { database: postgresDatabase({ connectionString: url('other') }) })
const output = { output: kafkaOutput({ brokers: ['b:9092'] }) }
const tx = { dedupe: { key: () => 'a' }, handler: transactional(async () => {}) }

function configOf(change: Partial<ConsumerOptions> = {}, rest: Partial<TidemarkOptions> = {}) {
  const one = consumer({ group: 'billing', source: topic(), handler: () => {}, ...change })
  return defineConfig({ store: store('db'), consumers: [one], ...rest })
}
const parsedOf = (...config: Parameters<typeof configOf>) => parseConfig(configOf(...config), {}).consumers[0]!
const version = (...config: Parameters<typeof configOf>) => parsedOf(...config).version

describe("a config's version", () => {
  it('is the same for equal configs, wherever they were made', () => {
    expect(version()).toBe(version())
    expect(version(tx)).toBe(version({ ...tx, dedupe: { key: () => 'a', retention: '7d' } }))
    expect(version()).toMatch(/^[0-9a-f]{8}$/)
  })

  it.each<[what: string, change: Partial<ConsumerOptions>, from?: Partial<ConsumerOptions>]>([
    ['a setting', { batch: { maxMessages: 5 } }],
    ['where a group begins', { start: { offset: 5n } }],
    ['the topic', { source: topic({ topic: 'payments' }) }],
    ['the brokers', { source: topic({ brokers: ['c:9092'] }) }],
    ['how values are read', { source: topic({ value: text() }) }],
    ["the handler's text", { handler: () => console.log() }],
    ["the handler's kind", { handler: transactional(() => {}) }],
    ["the handler's database", { handler: elsewhere }, { handler: transactional(() => {}) }],
    ['the output', { output: kafkaOutput({ brokers: ['b:9092'] }) }],
    ["the output's brokers", { output: kafkaOutput({ brokers: ['c:9092'] }) }, output],
    ["the output's transactions", { ...output, transactional: 'kafka' }, output],
    ['deduplication', tx, { handler: tx.handler }],
    ["the key's text", { ...tx, dedupe: { key: () => 'b' } }, tx],
    ["the keys' retention", { ...tx, dedupe: { key: () => 'a', retention: '1d' } }, tx],
    ['an end', { until: 'head' }],
    ["the end's text", { until: () => true }, { until: () => false }],
  ])('changes with %s', (_, change, from = {}) => {
    expect(version(change)).not.toBe(version(from))
  })

  it.each<[what: string, TidemarkOptions['store']]>([
    ['the store', store('other')],
    ['mirrors', [store('db'), store('other')]],
    ['no mirrors', [store('db')]],
  ])('changes with %s', (_, given) => {
    expect(version({}, { store: given })).not.toBe(version())
  })

  it('changes with the version of Tidemark', () => {
    const { settings, source, handler } = parsedOf()
    const rest = { mirrors: undefined, output: undefined, dedupe: undefined, until: undefined, failing: {} }
    const whole = { settings, source, handler, store: store('db'), ...rest }
    expect(versionOf(whole)).toBe(version())
    expect(versionOf(whole, '99.0.0')).not.toBe(version())
  })

  it('stays the same when passwords, or numbers that concern one process only, change', () => {
    expect(version({}, { store: store('db', 'new') })).toBe(version())
    const sasl = (password: string) => topic({ sasl: { mechanism: 'plain', username: 'tide', password } })
    expect(version({ source: sasl('old') })).toBe(version({ source: sasl('new') }))
    expect(version({}, { memory: '1GB', shutdownTimeout: '5s' })).toBe(version())
  })

  it('can be given, and is used as it is', () => {
    expect(version({ version: 'v1.2-3f9c1a2' })).toBe('v1.2-3f9c1a2')
    expect(parseConfig(withVersion(configOf({ version: 'own' }), 'deploy:7'), {}).consumers[0]!.version).toBe(
      'deploy:7',
    )
  })

  it.each(['', 'a b', 'a/b', 'x'.repeat(65), 7])('refuses %o', (given) => {
    const refused = (() => {
      try {
        return version({ version: given as string })
      } catch (error) {
        return messageOf(error)
      }
    })()
    expect(refused).toContain("consumers[0] (group 'billing').version: must be")
  })
})
