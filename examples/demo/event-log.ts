import { Kafka, logLevel } from 'kafkajs'
import type pg from 'pg'
import { connect } from 'rabbitmq-stream-js-client'
import { appendEvents, createStream } from 'tidemark/postgres'
import { makeTopics } from '../make-topics.js'
import type { Deposit } from './deposits.js'

const stream = 'deposits'
const partitions = 4

/** Where the demo's events are written: the part that is somebody else's job in real life. */
export interface EventLog {
  append(deposits: readonly Deposit[]): Promise<void>
  close(): Promise<void>
}

/** A Postgres event stream. */
export async function postgresLog(pool: pg.Pool): Promise<EventLog> {
  await createStream(pool, { stream, partitions })
  return {
    append: async (deposits) => {
      const events = deposits.map((value) => ({ key: value.account, type: 'deposited', value }))
      await appendEvents(pool, stream, events)
    },
    close: async () => {},
  }
}

/** A Kafka topic. */
export async function kafkaLog(brokers: readonly string[]): Promise<EventLog> {
  const kafka = new Kafka({ clientId: 'demo', brokers: [...brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await makeTopics(admin, [stream], partitions)
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  return {
    append: async (deposits) => {
      const messages = deposits.map((value) => ({ key: value.account, value: JSON.stringify(value) }))
      await producer.send({ topic: stream, messages, acks: -1 })
    },
    close: () => producer.disconnect(),
  }
}

/** A RabbitMQ super stream. Resolves an append when the broker has confirmed all of it. */
export async function rabbitmqLog(url: string): Promise<EventLog> {
  const { hostname, port, username, password } = new URL(url)
  const client = await connect({ hostname, port: Number(port), username, password, vhost: '/' })
  await client.createSuperStream({ streamName: stream, arguments: {} }, undefined, partitions)
  const publishers = await Promise.all(
    Array.from({ length: partitions }, (_, index) => client.declarePublisher({ stream: `${stream}-${index}` })),
  )
  let open = 0
  let settle: (refused?: Error) => void = () => {}
  for (const publisher of publishers)
    publisher.on('publish_confirm', (error, ids) => {
      open -= ids.length
      if (error) settle(new Error(`the broker refused ${ids.length} messages, code ${error}`))
      if (open === 0) settle()
    })
  return {
    append: async (deposits) => {
      const all = new Promise<void>((resolve, reject) => {
        settle = (refused) => (refused ? reject(refused) : resolve())
      })
      all.catch(() => {})
      open += deposits.length
      for (const value of deposits)
        await publishers[value.id % partitions]!.send(Buffer.from(JSON.stringify(value)), {
          messageProperties: { messageId: value.account },
        })
      await Promise.all(publishers.map((publisher) => publisher.flush()))
      await all
    },
    close: async () => void (await client.close()),
  }
}

/** Deposits `first` to `last`. */
export function makeDeposits(first: number, last: number): Deposit[] {
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const id = first + index
    return { id, account: `account-${id % 1000}`, amount: 1 + (id % 97) }
  })
}
