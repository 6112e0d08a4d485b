import { expect, it } from 'vitest'
import { obstaclesOf } from '../../src/client/letters/obstacles.js'
import { inSession } from '../../src/client/session.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { manual } from '../../src/config/strategy.js'
import { kafka, kafkaOutput } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'

const brokers = ['nowhere:9092']

const obstacles = (options: Partial<ConsumerOptions>) =>
  inSession(
    defineConfig({
      store: postgresStore({ connectionString: 'postgres://nobody@nowhere/none' }),
      consumers: [
        consumer({ group: 'billing', source: kafka({ brokers, topic: 'orders' }), handler: () => {}, ...options }),
      ],
    }),
    (session) => obstaclesOf(session, { group: 'billing', stream: 'orders' }, [0]),
  )

it.each([
  [{ commit: manual() }, 'commit: manual()'],
  [{ output: kafkaOutput({ brokers }), transactional: 'kafka' as const }, "transactional: 'kafka'"],
])('says which option keeps letters where they are', async (options, said) => {
  expect(await obstacles(options)).toEqual([
    `the consumer handles no dead letters with ${said}: start it with the config that it had before`,
  ])
})
