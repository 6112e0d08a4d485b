import kafkajs from 'kafkajs'
import { appendEvents, createStream } from '../../../src/entry/postgres.js'
import { rowsOf } from '../../support/consume.js'
import { makeTopics } from '../../support/make-topics.js'
import { rabbitmqClient } from '../../support/rabbitmq-ground.js'

/** A log that messages can be written to, and whose server says what time it is. */
export interface ClockedLog {
  readonly kind: 'kafka' | 'postgres' | 'rabbitmq'
  readonly address: string
  readonly partitions: number
  /** Writes so many messages to each partition, with these numbers from `first` on. */
  write(first: number, count: number): Promise<void>
  /** Milliseconds since 1970, by the server's clock. */
  now(): Promise<number>
  close(): Promise<void>
}

const partitions = 4

export async function kafkaLog(broker: string, topic: string): Promise<ClockedLog> {
  const client = new kafkajs.Kafka({ brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  const stamped = `${topic}-stamped`
  const byBroker = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
  await makeTopics(admin, [
    { topic, numPartitions: partitions },
    { topic: stamped, numPartitions: 1, configEntries: byBroker },
  ])
  await admin.disconnect()
  const producer = client.producer()
  await producer.connect()
  return {
    kind: 'kafka',
    address: broker,
    partitions,
    write: async (first, count) => {
      const messages = Array.from({ length: count }, (_, i) => first + i).flatMap((n) =>
        Array.from({ length: partitions }, (_, partition) => ({ partition, value: String(n) })),
      )
      await producer.send({ topic, messages })
    },
    now: async () => {
      const [answer] = await producer.send({ topic: stamped, messages: [{ value: '' }] })
      return Number(answer!.logAppendTime)
    },
    close: () => producer.disconnect(),
  }
}

export async function postgresLog(connectionString: string, stream: string): Promise<ClockedLog> {
  await createStream(connectionString, { stream, partitions })
  return {
    kind: 'postgres',
    address: connectionString,
    partitions,
    write: async (first, count) => {
      const events = Array.from({ length: count }, (_, i) => first + i).flatMap((n) =>
        Array.from({ length: partitions }, (_, partition) => ({ partition, key: `${n}`, value: n })),
      )
      await appendEvents(connectionString, stream, events)
    },
    now: () => databaseNow(connectionString),
    close: async () => {},
  }
}

/** @param managementUrl of the broker's HTTP interface, which says what time it is */
export async function rabbitmqLog(url: string, managementUrl: string, stream: string): Promise<ClockedLog> {
  const client = await rabbitmqClient(url)
  await client.createStream({ stream, arguments: {} })
  const publisher = await client.declarePublisher({ stream })
  return {
    kind: 'rabbitmq',
    address: url,
    partitions: 1,
    write: async (first, count) => {
      for (let n = first; n < first + count; n++) await publisher.send(Buffer.from(String(n)))
      await publisher.flush()
    },
    now: async () => {
      const { origin } = new URL(managementUrl)
      const { headers } = await fetch(origin)
      return Date.parse(headers.get('date')!)
    },
    close: () => client.close(),
  }
}

export async function databaseNow(connectionString: string): Promise<number> {
  const [row] = await rowsOf<{ ms: number }>(
    connectionString,
    'select (1000 * extract(epoch from clock_timestamp()))::float8 ms',
  )
  return row!.ms
}
