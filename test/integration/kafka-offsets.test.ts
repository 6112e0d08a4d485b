import { afterEach, beforeEach, expect, it } from 'vitest'
import { KafkaGround } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
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
    const first = await client.identity()
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    expect(await client.identity()).toBe(first)
    await ground.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await waitFor(async () => (await client.partitions()).length === 3, { what: 'the partitions to be there' })
    expect(await client.identity()).toBe(first)

    await ground.admin.deleteTopics({ topics: [topic] })
    await waitFor(() => ground.admin.createTopics({ topics: [{ topic }], waitForLeaders: true }), {
      what: 'the topic to be created again',
    })
    const second = await (await ground.connect({ topic })).identity()
    expect(second).toMatch(/^[0-9a-f]{32}$/)
    expect(second).not.toBe(first)
  })

  it('of one that is gone nobody knows', async () => {
    const topic = await ground.topic()
    const client = await ground.connect({ topic })
    await ground.admin.deleteTopics({ topics: [topic] })
    await expect(client.identity()).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND', place: { stream: topic } })
  })
})
