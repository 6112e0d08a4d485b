import { afterEach, beforeEach, expect, it } from 'vitest'
import type { GroupOffsets } from '../../src/kafka/store/group-offsets.js'
import type { OffsetMirror, SourceClient } from '../../src/ports/index.js'
import { KafkaGround, kafkaTool } from '../support/kafka-ground.js'
import { led } from '../support/make-topics.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'the identity of a topic', () => {
  let ground: KafkaGround

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
  })
  afterEach(() => ground.close())

  it('stays as long as the topic, and is another one when it was deleted and created again', async () => {
    const topic = await ground.topic()
    const client = await ground.connect({ topic })
    const first = await client.identity(0)
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    expect(await client.identity(0)).toBe(first)
    await ground.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await waitFor(async () => (await client.partitions()).length === 3, { what: 'the partitions to be there' })
    expect(await client.identity(0)).toBe(first)

    await ground.admin.deleteTopics({ topics: [topic] })
    await waitFor(() => ground.admin.createTopics({ topics: [{ topic }], waitForLeaders: false }), {
      what: 'the topic to be created again',
    })
    await led(ground.admin, [{ topic }])
    const second = await (await ground.connect({ topic })).identity(0)
    expect(second).toMatch(/^[0-9a-f]{32}$/)
    expect(second).not.toBe(first)
  })

  it('of one that is gone nobody knows', async () => {
    const topic = await ground.topic()
    const client = await ground.connect({ topic })
    await ground.admin.deleteTopics({ topics: [topic] })
    await expect(client.identity(0)).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND', place: { stream: topic } })
  })
})

describeWith(['kafka'], "a group's offsets in Kafka", () => {
  let ground: KafkaGround
  let topic: string
  let group: string
  let source: SourceClient
  let offsets: OffsetMirror

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
    topic = await ground.topic({}, 2)
    group = unique('group')
    source = await ground.connect({ topic })
    offsets = source.groupOffsets!
    const producer = await ground.producer()
    const messages = Array.from({ length: 10 }, (_, n) => ({ partition: 0, value: JSON.stringify(n) }))
    await producer.send({ topic, messages })
  })
  afterEach(() => ground.close())

  /** A plain kafkajs consumer of the group; `first` is the offset of the first message it gets. */
  async function plainConsumer(options: { stopAt?: number } = {}) {
    const consumer = ground.client.consumer({ groupId: group, maxWaitTimeInMs: 200 })
    let seen: (offset: string) => void = () => {}
    const first = new Promise<string>((resolve) => {
      seen = resolve
    })
    let last = -1
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { offset }, partition }) => {
        if (partition !== 0 || Number(offset) >= (options.stopAt ?? Number.POSITIVE_INFINITY)) return
        seen(offset)
        last = Number(offset)
        await consumer.commitOffsets([{ topic, partition, offset: String(last + 1) }])
      },
    })
    return { first, last: () => last, stop: () => consumer.disconnect() }
  }

  it('go on where a plain consumer stopped, and it goes on where they were put', async () => {
    const before = await plainConsumer({ stopAt: 7 })
    await waitFor(() => before.last() === 6, { what: 'the consumer to have 7 messages' })
    await waitFor(async () => (await offsets.read(group, topic))[0]?.position === 7n, { what: 'its commit' })
    await before.stop()
    expect(await offsets.read(group, topic)).toEqual([{ partition: 0, position: 7n }])

    await offsets.assert({ group, stream: topic, partition: 0, position: 9n, epoch: 3, replay: 0, handled: true })
    expect(await offsets.read(group, topic)).toEqual([{ partition: 0, position: 9n }])
    const after = await plainConsumer()
    expect(await after.first).toBe('9')
    await after.stop()
  })

  it('are not to be written while a plain consumer is active, and the error names it', async () => {
    const consumer = await plainConsumer({ stopAt: 7 })
    await waitFor(async () => (await offsets.read(group, topic))[0]?.position === 7n, { what: 'its commit' })
    const key = { group, stream: topic, partition: 0 }
    const assert = () => offsets.assert({ ...key, position: 9n, epoch: 3, replay: 0, handled: true })
    await expect(assert()).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      place: { ...key, offset: '9' },
      message: expect.stringMatching(new RegExp(`group ${group}, ${topic}\\[0\\].*: kafkajs at 127.0.0.1. Stop them`)),
    })
    await consumer.stop()
    await waitFor(
      () =>
        assert().then(
          () => true,
          () => false,
        ),
      { what: 'the broker to notice that it left' },
    )
    expect(await offsets.read(group, topic)).toEqual([{ partition: 0, position: 9n }])
  })

  it('of a plain consumer that ran for a while are not put back to where Tidemark stands', async () => {
    const behind = { group, stream: topic, partition: 0, position: 3n, epoch: 1, replay: 0, handled: true }
    expect(await offsets.assert(behind)).toBeNull()
    const consumer = await plainConsumer({ stopAt: 7 })
    await waitFor(async () => (await offsets.read(group, topic))[0]?.position === 7n, { what: 'its commit' })
    await expect(offsets.assert({ ...behind, position: 4n })).rejects.toMatchObject({ code: 'GROUP_ACTIVE' })
    await consumer.stop()
    expect(await offsets.assert({ ...behind, position: 5n })).toBe(7n)
    expect(await offsets.read(group, topic)).toEqual([{ partition: 0, position: 7n }])
    const beyond = () => offsets.assert({ ...behind, position: 8n }).catch(() => undefined)
    await waitFor(async () => (await beyond()) === null, { what: 'the broker to notice that it left' })
    expect(await offsets.read(group, topic)).toEqual([{ partition: 0, position: 8n }])
  })

  it('are deleted where Tidemark has put them, and those of others stay', async () => {
    await offsets.assert({ group, stream: topic, partition: 0, position: 4n, epoch: 1, replay: 0 })
    const ofAnother = { topic, partition: 1, position: 5n, metadata: '' }
    await (offsets as GroupOffsets).commit(group, ofAnother)
    await offsets.delete!(group, topic)
    expect(await offsets.read(group, topic)).toEqual([{ partition: 1, position: 5n }])
    await offsets.delete!(unique('never'), topic)
  })

  it('are not deleted while a plain consumer is active', async () => {
    await offsets.assert({ group, stream: topic, partition: 1, position: 0n, epoch: 1, replay: 0 })
    const consumer = await plainConsumer({ stopAt: 7 })
    await waitFor(async () => (await offsets.read(group, topic))[0]?.position === 7n, { what: 'its commit' })
    await expect(offsets.delete!(group, topic)).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      message: expect.stringContaining("position 0 can't be deleted from"),
    })
    await consumer.stop()
  })

  it('of a group that never was are none, and of a topic that is not there are refused', async () => {
    expect(await offsets.read(group, topic)).toEqual([])
    const stream = unique('missing')
    await expect(
      offsets.assert({ group, stream, partition: 0, position: 1n, epoch: 1, replay: 0 }),
    ).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND', place: { stream, partition: 0 } })
  })

  it('of many partitions go out together, each with its own outcome', async () => {
    const keys = [0, 1, 2].map((partition) => ({ group, stream: topic, partition }))
    const outcomes = await Promise.allSettled(
      keys.map((key) => offsets.assert({ ...key, position: BigInt(key.partition + 1), epoch: 1, replay: 0 })),
    )
    // There is no partition 2.
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(await offsets.read(group, topic)).toEqual([
      { partition: 0, position: 1n },
      { partition: 1, position: 2n },
    ])
  })

  it("look the same to Kafka's own tool, lag included", async () => {
    await offsets.assert({ group, stream: topic, partition: 0, position: 4n, epoch: 1, replay: 0 })
    const { brokers, home } = part('kafka')
    const printed = await kafkaTool(home, 'consumer.group.ConsumerGroupCommand', [
      ...['--bootstrap-server', brokers[0]!, '--describe', '--group', group],
    ])
    const line = printed.split('\n').find((line) => line.includes(topic))
    const { head } = (await source.bounds([0])).get(0)!
    const [{ position } = { position: -1n }] = await offsets.read(group, topic)
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG
    expect(line?.split(/ +/).slice(0, 6)).toEqual([group, topic, '0', ...[position, head, head - position].map(String)])
  })

  it('are left alone where the config says so', async () => {
    expect((await ground.connect({ topic, groupOffsets: false })).groupOffsets).toBeUndefined()
  })
})
