import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { kafka, text } from '../../src/entry/kafka.js'
import type { Reader } from '../../src/ports/index.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { run } from '../support/consume.js'
import { freshDatabase } from '../support/fresh-database.js'
import { KafkaCluster } from '../support/kafka-cluster.js'
import { KafkaGround, readOptions } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka', 'postgres', 'temporal'], 'a leader that was elected without the newest messages', () => {
  let cluster: KafkaCluster
  let ground: KafkaGround
  /** Of one partition, on the nodes 2 and 3, with node 2 as its leader. */
  let topic: string

  beforeAll(async () => {
    cluster = await KafkaCluster.start()
    ground = await KafkaGround.on(cluster.brokers)
  })
  beforeEach(async () => {
    await cluster.heal()
    topic = unique('unclean')
    const configEntries = [
      { name: 'min.insync.replicas', value: '1' },
      { name: 'unclean.leader.election.enable', value: 'true' },
    ]
    const replicaAssignment = [{ partition: 0, replicas: [2, 3] }]
    await ground.admin.createTopics({ topics: [{ topic, replicaAssignment, configEntries }], waitForLeaders: false })
    await leads(2)
    await inSync(2, 3)
  })
  afterAll(async () => {
    await ground?.close()
    await cluster?.close()
  })

  const timeout = 30_000
  const partition = async () => (await ground.admin.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions[0]!
  const leads = (node: number) =>
    waitFor(async () => (await partition()).leader === node, { what: `node ${node} to lead`, timeout })
  const inSync = (...nodes: number[]) =>
    waitFor(async () => `${(await partition()).isr.toSorted()}` === `${nodes}`, {
      what: `replicas ${nodes} to be in sync`,
      timeout,
    })
  const named = (name: string, from: number, count: number) =>
    Array.from({ length: count }, (_, index) => `${name} ${from + index}`)

  async function write(name: string, from: number, count: number): Promise<string[]> {
    const producer = await ground.producer()
    const values = named(name, from, count)
    const messages = values.map((value) => ({ value }))
    await waitFor(() => producer.send({ topic, messages, acks: 1 }), { what: 'a leader to take messages', timeout })
    return values
  }

  /** One node has messages that the other one lacks; once they are handled, that one leads, and others take their offsets. */
  async function lose(
    { leader, stale, from }: { leader: number; stale: number; from: number },
    handled: () => unknown,
  ) {
    await cluster.kill(stale)
    await inSync(leader)
    await write('lost', from, 20)
    await handled()
    await cluster.kill(leader)
    await cluster.start(stale)
    await leads(stale)
    await write('other', from, 40)
  }

  /** Reads on to a position, and returns what stands before it and the last chunk's witness. */
  async function read(reader: Reader<string>, to: bigint): Promise<{ values: string[]; witness: string | undefined }> {
    const values: string[] = []
    for (;;) {
      const chunk = await reader.next({ maxMessages: 100, waitMs: timeout })
      if (!chunk) throw new Error(`nothing came before ${to}`)
      values.push(...chunk.messages.map(({ value }) => value))
      chunk.release()
      if (chunk.next >= to) return { values, witness: chunk.witness }
    }
  }

  it('stops the reader that had them, and a later one, but nobody who stands before them', async () => {
    const client = await ground.connect<string>({ topic, value: text(), fetchMaxWait: '100ms' })
    const reader = client.read(0n, readOptions(topic))
    expect((await read(reader, BigInt((await write('both', 0, 10)).length))).values).toEqual(named('both', 0, 10))
    // A new leader that has everything is no reason to stop.
    await inSync(2, 3)
    await cluster.stop(2)
    await leads(3)
    await write('third', 10, 5)
    const { values, witness: before } = await read(reader, 15n)
    expect(values).toEqual(named('third', 10, 5))
    await cluster.start(2)
    await inSync(2, 3)

    let witness: string | undefined
    await lose({ leader: 3, stale: 2, from: 15 }, async () => {
      const lost = await read(reader, 35n)
      expect(lost.values).toEqual(named('lost', 15, 20))
      witness = lost.witness
    })
    const cut = {
      code: 'OUT_OF_RANGE',
      at: 15n,
      message: expect.stringContaining('the log was cut at offset 15, before position 35'),
    }
    await expect(read(reader, 36n)).rejects.toMatchObject(cut)
    await reader.close()

    const later = client.read(35n, readOptions(topic, { witness: witness! }))
    await expect(read(later, 36n)).rejects.toMatchObject(cut)
    await later.close()
    const behind = client.read(15n, readOptions(topic, { witness: before! }))
    expect((await read(behind, 55n)).values).toEqual(named('other', 15, 40))
    await behind.close()
  })

  it('makes a consumer with onOutOfRange handle the others at those offsets, as its history tells', async () => {
    const group = unique('billing')
    const handled: string[] = []
    const database = await freshDatabase()
    const { connectionString } = database
    const { address, namespace } = part('temporal')
    const running = await run(
      defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        consumers: [
          consumer<string>({
            group,
            // Kafka keeps a group's offsets on one node, which may be one that is killed here.
            source: kafka({ brokers: cluster.brokers, topic, value: text(), groupOffsets: false }),
            onOutOfRange: 'last',
            batch: { maxDuration: '2m', idleGap: '300ms' },
            handler: async (messages) => void handled.push(...messages.map(({ value }) => value)),
          }),
        ],
      }),
    )
    try {
      const done = (count: number) => () =>
        waitFor(() => handled.length >= count, { what: `${count} messages to be handled`, timeout })
      await write('both', 0, 10)
      await done(10)()
      await inSync(2, 3)
      await lose({ leader: 2, stale: 3, from: 10 }, done(30))
      await done(70)()
      expect(handled).toEqual([...named('both', 0, 10), ...named('lost', 10, 20), ...named('other', 10, 40)])
      const store = await postgresStore({ connectionString }).connect({
        log: ground.log,
        signal: new AbortController().signal,
      })
      const history = await store.history({ group, limit: 10 })
      await store.close()
      expect(history).toMatchObject([
        { kind: 'skipped', to: 10n, by: 'onOutOfRange: last', why: expect.stringContaining('cut at offset 10') },
      ])
    } finally {
      await running.stop()
      await database.drop()
    }
  })
})
