import { afterEach, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { everyN } from '../../src/entry/index.js'
import { kafka } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import type { Source } from '../../src/ports/index.js'
import { Links } from '../../src/rabbitmq/client/links.js'
import { parseRabbitmq } from '../../src/rabbitmq/client/options.js'
import { Tracking } from '../../src/rabbitmq/store/tracking.js'
import { Project } from '../support/cli.js'
import { configOf } from '../support/config-text.js'
import { produce, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { KafkaGround } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { publish, rabbitmqClient } from '../support/rabbitmq-ground.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const all = Array.from({ length: 100 }, () => '{}')
const left = 'another consumer has left offsets as group'

/** Runs a group from the first of 100 messages on, 50 at a time, and holds it behind the first 50. */
async function heldAtHalf(group: string, source: Source, database: FreshDatabase, overwriteOffsets = false) {
  const { address, namespace } = part('temporal')
  const store = postgresStore({ connectionString: database.connectionString })
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  let seen = 0
  const running = await run(
    defineConfig({
      store,
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer({
          group,
          source,
          start: 'first',
          commit: everyN(50),
          handler: async (messages) => {
            if (seen >= 50) await gate
            seen += messages.length
          },
        }),
      ],
    }),
    { overwriteOffsets },
  )
  const client = await store.connect({ log: silentLog(), signal: new AbortController().signal })
  try {
    await waitFor(async () => (await client.read(group, source.stream))[0]?.position === 50n, {
      what: 'the first half to be handled',
    })
  } finally {
    await client.close()
  }
  const warnings = () => running.log.lines.filter((line) => line.includes(left))
  const stop = async () => {
    release()
    await running.stop()
  }
  return { release, warnings, stop }
}

describeWith(['kafka', 'postgres', 'temporal'], 'offsets of a plain Kafka consumer of the same group', () => {
  let ground: KafkaGround
  let database: FreshDatabase
  let topic: string
  let group: string

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
    database = await freshDatabase()
    topic = await ground.topic()
    group = unique('billing')
    await produce(topic, all, 1)
  })
  afterEach(async () => {
    await ground.close()
    await database.drop()
  })

  const leave = (offset: string, groupId = group) =>
    ground.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset }] })
  const shown = async (groupId = group) => {
    const [found] = await ground.admin.fetchOffsets({ groupId, topics: [topic] })
    const { offset, metadata } = found!.partitions[0]!
    return { offset, ours: metadata?.includes('tidemark') ?? false }
  }

  it('stay until the group has handled past them, and the log says so', async () => {
    await leave('90')
    const held = await heldAtHalf(group, kafka({ brokers: part('kafka').brokers, topic }), database)
    try {
      expect(await shown()).toEqual({ offset: '90', ours: false })
      await waitFor(() => held.warnings().length === 1, { what: 'the warning' })
      expect(held.warnings()[0]).toContain(`as group ${group} on ${topic}: partition 0 at 90. `)
      held.release()
      await waitFor(async () => (await shown()).offset === '100', { what: 'the offset of the whole' })
      expect(await shown()).toEqual({ offset: '100', ours: true })
      expect(held.warnings()).toHaveLength(1)
    } finally {
      await held.stop()
    }
  })

  it('are overwritten at once where a person says so', async () => {
    await leave('90')
    const held = await heldAtHalf(group, kafka({ brokers: part('kafka').brokers, topic }), database, true)
    try {
      await waitFor(async () => (await shown()).offset === '50', { what: 'the offset of the first half' })
      expect(held.warnings()).toEqual([])
    } finally {
      await held.stop()
    }
  })

  async function withProject(work: (project: Project) => Promise<void>): Promise<void> {
    const project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(','),
    })
    const handler = `async () => { console.error('held'); await new Promise(() => {}) }`
    await project.write('tidemark.config.ts', configOf({ topic, handler, more: "start: 'first'" }))
    await leave('90', 'bank')
    await work(project).finally(() => project.close())
  }

  it("are reported by 'tidemark start', which runs the group nonetheless", () =>
    withProject(async (project) => {
      const start = project.start(['start'])
      await start.said(`${left} bank on ${topic}: partition 0 at 90`)
      await start.said('held')
      expect(await shown('bank')).toEqual({ offset: '90', ours: false })
    }))

  it("become Tidemark's with 'tidemark adopt'", () =>
    withProject(async (project) => {
      expect(await project.ask(['adopt', '--group', 'bank', '--yes'])).toMatchObject({ code: 0 })
      const start = project.start(['start'])
      await start.said('held')
      await waitFor(async () => (await shown('bank')).ours, { what: 'the offset to be shown' })
      expect(await shown('bank')).toMatchObject({ offset: '90' })
      expect(start.stderr).not.toContain(left)
    }))

  it("are overwritten by 'tidemark start --overwrite-offsets'", () =>
    withProject(async (project) => {
      const start = project.start(['start', '--overwrite-offsets'])
      await waitFor(async () => (await shown('bank')).offset === '0', {
        what: 'the offset to be shown',
        timeout: 30_000,
      })
      expect(start.stderr).not.toContain(left)
    }))
})

describeWith(['rabbitmq', 'postgres', 'temporal'], 'offsets of a plain RabbitMQ consumer of the same name', () => {
  let client: Awaited<ReturnType<typeof rabbitmqClient>>
  let database: FreshDatabase
  let stream: string
  let group: string

  beforeEach(async () => {
    client = await rabbitmqClient()
    database = await freshDatabase()
    stream = unique('orders')
    group = unique('billing')
    await client.createStream({ stream, arguments: {} })
    await publish(
      client,
      stream,
      all.map((content) => ({ content: Buffer.from(content) })),
    )
    const connection = new Links(parseRabbitmq({ url: part('rabbitmq').url, stream }))
    await new Tracking(connection).store(stream, [[group, 89n]])
    connection.close()
  })
  afterEach(async () => {
    await client.deleteStream({ stream }).catch(() => {})
    await client.close()
    await database.drop()
  })

  /** The last processed offset, as plain clients have it. */
  const shown = () => client.queryOffset({ reference: group, stream })

  it('stay until the group has handled past them, and the log says so', async () => {
    const held = await heldAtHalf(group, rabbitmq({ url: part('rabbitmq').url, stream }), database)
    try {
      expect(await shown()).toBe(89n)
      await waitFor(() => held.warnings().length === 1, { what: 'the warning' })
      expect(held.warnings()[0]).toContain(`as group ${group} on ${stream}: partition 0 at 90. `)
      held.release()
      await waitFor(async () => (await shown()) === 99n, { what: 'the offset of the whole' })
    } finally {
      await held.stop()
    }
  })

  it('are overwritten at once where a person says so', async () => {
    const held = await heldAtHalf(group, rabbitmq({ url: part('rabbitmq').url, stream }), database, true)
    try {
      await waitFor(async () => (await shown()) === 49n, { what: 'the offset of the first half' })
      expect(held.warnings()).toEqual([])
    } finally {
      await held.stop()
    }
  })
})
