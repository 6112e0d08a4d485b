// node setup.mjs: makes the topic and the table, and sends 1,000 orders. Each run sends 1,000 more.
import { readFile } from 'node:fs/promises'
import kafkajs from 'kafkajs'
import pg from 'pg'

const { KAFKA_BROKERS = '127.0.0.1:9092', DATABASE_URL = 'postgres://app:app@127.0.0.1:5432/app' } = process.env

const database = new pg.Client(DATABASE_URL)
await database.connect()
await database.query(await readFile('schema.sql', 'utf8'))
await database.end()

const kafka = new kafkajs.Kafka({ brokers: KAFKA_BROKERS.split(','), logLevel: kafkajs.logLevel.ERROR })
const admin = kafka.admin()
await admin.connect()
const topics = await admin.listTopics()
if (!topics.includes('orders')) await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 4 }] })
await admin.disconnect()

const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
await producer.connect()
const now = Date.now()
const messages = Array.from({ length: 1000 }, (_, n) => ({
  key: `customer-${n % 50}`,
  value: JSON.stringify({ id: `order-${now}-${n}`, amount: n }),
}))
await producer.send({ topic: 'orders', messages })
await producer.disconnect()
console.log('sent 1,000 orders')
