import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { appendEvents, createStream } from '../../src/entry/postgres.js'
import { Project } from '../support/cli.js'
import { produce } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { kafkaTool } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

interface Lag {
  readonly partitions: readonly { readonly partition: number; readonly committed: string; readonly lag: string }[]
}

describeWith(['temporal', 'postgres', 'kafka'], 'a group that is followed from the command line', () => {
  let database: FreshDatabase
  let project: Project
  let stream: string
  let group: string

  beforeEach(async () => {
    database = await freshDatabase()
    stream = unique('orders')
    group = unique('billing')
    const brokers = part('kafka').brokers.join(',')
    project = await Project.create({ DATABASE_URL: database.connectionString, KAFKA_BROKERS: brokers })
  })
  afterEach(async () => {
    await project.close()
    await database.drop()
  })

  const queue = unique('queue')
  const write = (consumer: string) =>
    project.write(
      'tidemark.config.ts',
      `
      import { appendFileSync } from 'node:fs'
      import { consumer, defineConfig, everyN, manual } from 'tidemark'
      import { kafka } from 'tidemark/kafka'
      import { postgresStore, postgresStream } from 'tidemark/postgres'
      const { DATABASE_URL: connectionString, KAFKA_BROKERS, RUN } = process.env
      const brokers = KAFKA_BROKERS!.split(',')
      const see = (messages: readonly { offset: bigint }[]) =>
        appendFileSync(RUN + '.seen', messages.map(({ offset }) => offset + '\\n').join(''))
      export default defineConfig({
        store: postgresStore({ connectionString }),
        taskQueue: '${queue}',
        consumers: [consumer({ group: '${group}', heartbeatTimeout: '2s', ${consumer} })],
      })`,
    )
  /** The first and the last offset that a run's handler has seen. */
  const seen = async (run: string) => {
    const offsets = (await readFile(join(project.folder, `${run}.seen`), 'utf8')).trim().split('\n').map(Number)
    return { first: Math.min(...offsets), last: Math.max(...offsets) }
  }
  const lag = async () => {
    const { stdout, stderr } = await project.ask(['lag', '--json'])
    if (stdout === '') throw new Error(stderr)
    return (JSON.parse(stdout) as Lag[])[0]!.partitions.map(({ committed, lag }) => [committed, lag])
  }

  it('crashes at 1500 with 1400 committed, and goes on at 1401', async () => {
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions: 1 })
    // Offsets 1 to 6000.
    await appendEvents(
      connectionString,
      stream,
      Array.from({ length: 6_000 }, (_, n) => ({ value: n })),
    )
    await write(`
      source: postgresStream({ connectionString, stream: '${stream}' }),
      commit: manual('1h'),
      chunk: { maxMessages: 100 },
      handler: async (messages, { storeOffset, commit }) => {
        if (RUN === 'first' && messages[0]!.offset > 1500n) await new Promise(() => {})
        see(messages)
        if (RUN === 'first' && messages[0]!.offset > 1400n) return
        storeOffset(messages.at(-1)!)
        await commit()
      }`)
    const first = project.start(['start'], { RUN: 'first' })
    await waitFor(async () => (await seen('first')).last === 1500, { what: 'offset 1500', timeout: 60_000 })
    await first.kill()
    expect(await lag()).toEqual([['1401', '4600']])
    const second = project.start(['start'], { RUN: 'second' })
    await waitFor(async () => (await seen('second')).last === 6000, { what: 'the end', timeout: 60_000 })
    expect(await seen('second')).toEqual({ first: 1401, last: 6000 })
    await waitFor(async () => (await lag()).join() === '6001,0', { what: 'no lag' })
    await second.stop()
  })

  it('has the same position and lag in kafka-consumer-groups, in the middle of the work and after it', async () => {
    await createTopic(stream, 2)
    await produce(stream, Array(12_000).fill('{}'), 2)
    await write(`
      source: kafka({ brokers, topic: '${stream}' }),
      commit: everyN(50),
      handler: async (messages) => {
        see(messages)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }`)
    const { brokers, home } = part('kafka')
    const tool = async () => {
      const arguments_ = ['--bootstrap-server', brokers[0]!, '--describe', '--group', group]
      const printed = await kafkaTool(home, 'consumer.group.ConsumerGroupCommand', arguments_)
      const lines = printed.split('\n').filter((line) => line.includes(stream))
      // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG
      return lines
        .map((line) => line.split(/ +/))
        .sort((a, b) => Number(a[2]) - Number(b[2]))
        .map((cells) => [cells[3], cells[5]])
    }
    const worker = project.start(['start'], { RUN: 'only' })
    await waitFor(async () => (await seen('only')).last > 100, { what: 'some work', timeout: 60_000 })
    expect((await project.ask(['pause', '--group', group])).code).toBe(0)
    // The batch lets go after its chunk; then the last commit is shown in Kafka, too.
    const middle = await waitFor(
      async () => {
        const [mine, theirs] = [await lag(), await tool()]
        return JSON.stringify(mine) === JSON.stringify(theirs) && mine
      },
      { what: 'the same in both', timeout: 60_000 },
    )
    expect(Number(middle[0]![0])).toBeGreaterThan(0)
    expect(Number(middle[0]![1])).toBeGreaterThan(0)
    expect((await project.ask(['resume', '--group', group])).code).toBe(0)
    await waitFor(async () => (await lag()).join() === '6000,0,6000,0', { what: 'the end', timeout: 60_000 })
    await waitFor(async () => (await tool()).join() === '6000,0,6000,0', { what: 'the same in Kafka' })
    await worker.stop()
  })
})
