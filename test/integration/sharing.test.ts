import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { kafka } from '../../src/kafka/source/source.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import { produce, type Running, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'
import { workflowsInThreads } from '../support/workflows-here.js'

const partitions = 32
const slices = 16
const batchMs = 2_000
/** What each of two workers holds when the work is shared. */
const [fewest, most] = [5, 11]

// Two workers of one process, whose slices would all be in one thread.
workflowsInThreads()

describeWith(['kafka', 'postgres', 'temporal'], 'workers of a busy group', () => {
  let database: FreshDatabase
  let topic: string
  let taskQueue: string
  const running = new Map<string, Running>()
  /** By partition: the worker that handled a message of it last. */
  const holders = new Map<number, string>()

  beforeEach(async () => {
    database = await freshDatabase()
    topic = unique('orders')
    taskQueue = unique('queue')
    holders.clear()
    await createTopic(topic, partitions)
    await produce(
      topic,
      Array.from({ length: partitions * 1_000 }, (_, i) => `v${i}`),
      partitions,
    )
  })
  afterEach(async () => {
    await Promise.all([...running.keys()].map((by) => stop(by).catch(() => {})))
    await database.drop()
  })

  async function start(by: string): Promise<void> {
    const { address, namespace } = part('temporal')
    const config = defineConfig({
      store: postgresStore({ connectionString: database.connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue,
      consumers: [
        consumer<string>({
          group: 'billing',
          source: kafka({ brokers: part('kafka').brokers, topic, value: text() }),
          slices,
          heartbeatTimeout: '5s',
          chunk: { maxMessages: 1 },
          batch: { maxDuration: `${batchMs}ms`, idleGap: '300ms' },
          handler: async (_, { partition }) => {
            holders.set(partition, by)
            // The topic lasts longer than the test.
            await sleep(200)
          },
        }),
      ],
    })
    running.set(by, await run(config))
  }

  async function stop(by: string): Promise<void> {
    const one = running.get(by)
    running.delete(by)
    await one?.stop()
  }

  /** How many slices each worker holds, by the first partition of each slice. */
  function shares(): Record<string, number> {
    const counts = Object.fromEntries([...running.keys()].map((by) => [by, 0]))
    for (let slice = 0; slice < slices; slice++) {
      const by = holders.get(slice)
      if (by !== undefined && by in counts) counts[by]! += 1
    }
    return counts
  }

  const between = (low: number, high: number) => () => {
    const counts = Object.values(shares())
    const all = counts.reduce((sum, count) => sum + count, 0) === slices
    return all && counts.every((count) => count >= low && count <= high)
  }
  const threeBatches = { timeout: 3 * (batchMs + 1_000) }
  /** The worst of what is seen during three batches. */
  async function worst(): Promise<number[]> {
    const seen: number[] = []
    for (const end = Date.now() + 3 * batchMs; Date.now() < end; await sleep(100)) seen.push(...Object.values(shares()))
    return [Math.min(...seen), Math.max(...seen)]
  }

  it('share its slices within three batches, when one joins and when one leaves', async () => {
    await start('first')
    await waitFor(() => shares().first === slices, { what: 'the first worker to hold all slices' })
    await sleep(5_000)

    await start('second')
    await waitFor(between(fewest, most), { what: 'two workers to share', ...threeBatches })
    const [low, high] = await worst()
    expect(low).toBeGreaterThanOrEqual(fewest)
    expect(high).toBeLessThanOrEqual(most)

    await start('third')
    await waitFor(between(2, 8), { what: 'three workers to share', ...threeBatches })

    await stop('first')
    await waitFor(between(fewest, most), { what: 'the other two to take over', ...threeBatches })
  })
})
