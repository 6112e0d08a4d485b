import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/parse.js'
import { consumer, defineConfig } from '../../src/entry/index.js'
import { kafka } from '../../src/entry/kafka.js'
import { postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'

const unset = undefined as string | undefined

describe('text that was put together from environment variables', () => {
  it('is refused where one of them was not set', () => {
    const told = /has 'undefined' in it: is an environment variable not set\?/
    expect(() => kafka({ brokers: [`${unset}:9092`], topic: 'orders' })).toThrow(told)
    expect(() => postgresStore({ connectionString: `postgres://app:pw@${unset}:5432/app` })).toThrow(told)
    expect(() => parsed(`billing-${unset}`)).toThrow(told)
  })

  it.each(['undefined', 'null', 'NaN', '[object Object]', 'a-[object Object]', 'billing/undefined'])(
    "that became '%s' is no name",
    (text) => {
      const told = /has '(undefined|null|NaN|\[object Object\])' in it: is an environment variable not set\?/
      const connectionString = 'postgres://localhost/app'
      expect(() => parsed(text)).toThrow(told)
      expect(() => postgresStream({ connectionString, stream: text })).toThrow(told)
      expect(() => rabbitmq({ url: 'rabbitmq-stream://localhost', stream: text })).toThrow(told)
      expect(() => rabbitmq({ url: 'rabbitmq-stream://localhost', vhost: text, stream: 'orders' })).toThrow(told)
      expect(() => parsed('billing', { temporal: { namespace: text } })).toThrow(told)
      expect(() => parsed('billing', { taskQueue: text.replace('/', '-') })).toThrow(told)
    },
  )

  it.each(['undefined', 'null', 'NaN'])("that became '%s' is no version and no topic", (text) => {
    const told = `has '${text}' in it: is an environment variable not set?`
    expect(() => parsed('billing', {}, { version: text })).toThrow(told)
    expect(() => kafka({ brokers: ['localhost:9092'], topic: text })).toThrow(told)
  })

  it('may have a variable that was set to such a word among others', () => {
    expect(parsed('null-checks').consumers[0]!.settings.group).toBe('null-checks')
  })

  it('may have the word in others', () => {
    expect(parsed('undefinedness').consumers[0]!.settings.group).toBe('undefinedness')
  })
})

it.each(['.', '..'])("'%s' is no topic", (topic) => {
  expect(() => kafka({ brokers: ['localhost:9092'], topic })).toThrow("kafka().topic: must not be '.' or '..'")
})

it('a group with a space at its end is refused', () => {
  expect(() => parsed('billing ')).toThrow('must not begin or end with a space')
})

function parsed(group: string, whole: object = {}, change: object = {}) {
  const store = postgresStore({ connectionString: 'postgres://localhost/app' })
  const source = kafka({ brokers: ['localhost:9092'], topic: 'orders' })
  return parseConfig(
    defineConfig({ store, consumers: [consumer({ group, source, handler: async () => {}, ...change })], ...whole }),
  )
}
