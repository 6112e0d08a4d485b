import { Kafka, logLevel } from 'kafkajs'
import { makeTopics } from './make-topics.js'
import { part } from './parts.js'

export function kafkaClient(): Kafka {
  return new Kafka({ brokers: [...part('kafka').brokers], logLevel: logLevel.NOTHING })
}

/** Makes a topic on the stack's Kafka. */
export async function createTopic(topic: string, partitions: number): Promise<void> {
  const admin = kafkaClient().admin()
  await admin.connect()
  await makeTopics(admin, [{ topic, numPartitions: partitions }])
  await admin.disconnect()
}

/** Writes values without keys to one partition; resolves when the broker has them. */
export async function send(topic: string, partition: number, values: readonly string[]): Promise<void> {
  const producer = kafkaClient().producer()
  await producer.connect()
  await producer.send({ topic, messages: values.map((value) => ({ partition, value })), acks: -1 })
  await producer.disconnect()
}
