import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/parse.js'
import { consumer, defineConfig } from '../../src/entry/index.js'
import { kafka } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'

const unset = undefined as string | undefined

describe('text that was put together from environment variables', () => {
  it('is refused where one of them was not set', () => {
    const told = /has 'undefined' in it: is an environment variable not set\?/
    expect(() => kafka({ brokers: [`${unset}:9092`], topic: 'orders' })).toThrow(told)
    expect(() => postgresStore({ connectionString: `postgres://app:pw@${unset}:5432/app` })).toThrow(told)
    expect(() => parsed(`billing-${unset}`)).toThrow(told)
  })

  it('may have the word in others', () => {
    expect(parsed('undefinedness').consumers[0]!.settings.group).toBe('undefinedness')
  })
})

it('a group with a space at its end is refused', () => {
  expect(() => parsed('billing ')).toThrow('must not begin or end with a space')
})

function parsed(group: string) {
  const store = postgresStore({ connectionString: 'postgres://localhost/app' })
  const source = kafka({ brokers: ['localhost:9092'], topic: 'orders' })
  return parseConfig(defineConfig({ store, consumers: [consumer({ group, source, handler: async () => {} })] }))
}
