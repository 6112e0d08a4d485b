import { expect, test } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { postgresStore } from '../../src/entry/postgres.js'
import { rabbitmq, text } from '../../src/entry/rabbitmq.js'
import { run } from '../support/consume.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { publish, rabbitmqClient, within } from '../support/rabbitmq-ground.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const partitions = 70

describeWith(['temporal', 'postgres', 'rabbitmq'], `a super stream of ${partitions} partitions`, () => {
  test('has every message handled with the least memory, those in the log and those that come to its tail', async () => {
    const client = await rabbitmqClient()
    const database = await freshDatabase()
    const superStream = unique('many')
    await within(
      60_000,
      client.createSuperStream({ streamName: superStream, arguments: {} }, undefined, partitions),
      '70',
    )
    /** One message into each partition, a few at a time. */
    const publishAll = async (value: string) => {
      for (let first = 0; first < partitions; first += 5)
        await Promise.all(
          Array.from({ length: Math.min(5, partitions - first) }, (_, i) =>
            publish(client, `${superStream}-${first + i}`, [{ content: Buffer.from(`${value}${first + i}`) }]),
          ),
        )
    }
    const all = (value: string) => Array.from({ length: partitions }, (_, partition) => `${value}${partition}`)
    await publishAll('log')
    const handled = new Set<string>()
    const { address, namespace } = part('temporal')
    const running = await run(
      defineConfig({
        store: postgresStore({ connectionString: database.connectionString }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        memory: '1MB',
        consumers: [
          consumer({
            group: unique('billing'),
            source: rabbitmq({ url: part('rabbitmq').url, superStream, value: text() }),
            handler: (messages) => {
              for (const { value } of messages) handled.add(value)
            },
          }),
        ],
      }),
    )
    const missing = (value: string) => all(value).filter((one) => !handled.has(one))
    try {
      await waitFor(() => missing('log').length === 0, { timeout: 60_000, what: 'what was in the log' })
      for (const value of ['tail', 'later']) {
        await publishAll(value)
        await waitFor(() => missing(value).length === 0, { timeout: 20_000, what: `all of '${value}'` }).catch(() => {})
        expect(missing(value)).toEqual([])
      }
    } finally {
      await running.stop()
      await within(60_000, client.deleteSuperStream({ streamName: superStream }), 'the end of it').catch(() => {})
      await client.close()
      await database.drop()
    }
  }, 240_000)
})
