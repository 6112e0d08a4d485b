import { afterAll, beforeAll, expect, it } from 'vitest'
import { text } from '../../src/entry/kafka.js'
import type { Reader, SourceClient } from '../../src/ports/index.js'
import { KafkaCluster } from '../support/kafka-cluster.js'
import { KafkaGround, readOptions } from '../support/kafka-ground.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'a leader that is elected uncleanly', () => {
  let cluster: KafkaCluster
  let ground: KafkaGround
  let topic: string
  let client: SourceClient<string>

  beforeAll(async () => {
    cluster = await KafkaCluster.start()
    ground = await KafkaGround.on(cluster.brokers)
    topic = unique('unclean')
    const configEntries = [
      { name: 'min.insync.replicas', value: '1' },
      { name: 'unclean.leader.election.enable', value: 'true' },
    ]
    const replicaAssignment = [{ partition: 0, replicas: [2, 3] }]
    await ground.admin.createTopics({ topics: [{ topic, replicaAssignment, configEntries }], waitForLeaders: false })
    await leads(2)
    client = await ground.connect({ topic, value: text(), fetchMaxWait: '100ms' })
  })
  afterAll(async () => {
    await ground?.close()
    await cluster?.close()
  })

  const partition = async () => (await ground.admin.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions[0]!
  const leads = (node: number) =>
    waitFor(async () => (await partition()).leader === node, { what: `node ${node} to lead`, timeout: 30_000 })
  const inSync = (...nodes: number[]) =>
    waitFor(async () => `${(await partition()).isr.toSorted()}` === `${nodes}`, {
      what: `replicas ${nodes} to be in sync`,
      timeout: 30_000,
    })
  async function write(name: string, from: number, count: number): Promise<void> {
    const producer = await ground.producer()
    const messages = Array.from({ length: count }, (_, index) => ({ value: `${name} ${from + index}` }))
    await waitFor(() => producer.send({ topic, messages, acks: 1 }), {
      what: 'a leader to take messages',
      timeout: 30_000,
    })
  }
  /** Reads on to a position, and returns what stands before it and the last chunk's witness. */
  async function read(reader: Reader<string>, to: bigint): Promise<{ values: string[]; witness: string | undefined }> {
    const values: string[] = []
    for (;;) {
      const chunk = await reader.next({ maxMessages: 100, waitMs: 30_000 })
      if (!chunk) throw new Error(`nothing came before ${to}`)
      values.push(...chunk.messages.map(({ value }) => value))
      chunk.release()
      if (chunk.next >= to) return { values, witness: chunk.witness }
    }
  }
  const named = (name: string, from: number, count: number) =>
    Array.from({ length: count }, (_, index) => `${name} ${from + index}`)

  it('loses messages, and neither the reader that had them nor a later one skips those at their offsets', async () => {
    const reader = client.read(0n, readOptions(topic))
    await write('both', 0, 10)
    await inSync(2, 3)
    expect((await read(reader, 10n)).values).toEqual(named('both', 0, 10))

    // A new leader that has everything is no reason to stop.
    await cluster.node(2).stop()
    await leads(3)
    await write('third', 10, 5)
    const { values, witness: clean } = await read(reader, 15n)
    expect(values).toEqual(named('third', 10, 5))
    await cluster.node(2).restart()
    await inSync(2, 3)

    await cluster.node(2).kill()
    await inSync(3)
    await write('lost', 15, 20)
    const { values: lost, witness } = await read(reader, 35n)
    expect(lost).toEqual(named('lost', 15, 20))

    await cluster.node(3).kill()
    await cluster.node(2).restart()
    await leads(2)
    await write('other', 15, 40)
    const cut = {
      code: 'OUT_OF_RANGE',
      at: 15n,
      message: expect.stringContaining('the log was cut at offset 15, before position 35'),
    }
    await expect(reader.next({ maxMessages: 100, waitMs: 30_000 })).rejects.toMatchObject(cut)

    const next = (from: bigint, known: string | undefined) => {
      const later = client.read(from, readOptions(topic, { witness: known ?? null }))
      return later.next({ maxMessages: 100, waitMs: 30_000 }).finally(() => later.close())
    }
    await expect(next(35n, witness)).rejects.toMatchObject(cut)
    const behind = await next(15n, clean)
    expect(behind!.messages.map(({ value }) => value)).toEqual(named('other', 15, 40))
    await reader.close()
  })
})
