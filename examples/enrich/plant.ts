import { randomBytes } from 'node:crypto'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import pg from 'pg'
import { makeTopics } from '../make-topics.js'
import { isHot, type Reading } from './enrich.js'

const partitions = 4
const perSend = 2_000

/** The world around the worker: sensors that send, and readers that count what comes out. */
export class Plant {
  private constructor(
    private readonly kafka: Kafka,
    private readonly admin: Admin,
    private readonly producer: Producer,
    private readonly outside: pg.Client,
    private readonly run: string,
    /** Where the worker finds everything. */
    readonly env: Readonly<Record<string, string>>,
  ) {}

  static async open(server: string, brokers: readonly string[]): Promise<Plant> {
    const id = randomBytes(4).toString('hex')
    const run = `-${id}`
    const kafka = new Kafka({ clientId: 'plant', brokers: [...brokers], logLevel: logLevel.NOTHING })
    const [admin, producer] = [kafka.admin(), kafka.producer()]
    await Promise.all([admin.connect(), producer.connect()])
    const topics = ['readings', 'enriched', 'alerts'].map((name) => `${name}${run}`)
    await makeTopics(admin, topics, partitions)
    const outside = new pg.Client({ connectionString: server })
    await outside.connect()
    await outside.query(`create database plant_${id}`)
    const url = new URL(server)
    url.pathname = `/plant_${id}`
    const env = { DATABASE_URL: url.href, KAFKA_BROKERS: brokers.join(), RUN: run }
    return new Plant(kafka, admin, producer, outside, run, env)
  }

  /** Sends readings 1 to `count`; returns how many of them are too hot. */
  async send(count: number): Promise<number> {
    let hot = 0
    for (let from = 1; from <= count; from += perSend) {
      const readings = Array.from({ length: Math.min(perSend, count - from + 1) }, (_, index): Reading => {
        const id = from + index
        return { id, sensor: `sensor-${id % 100}`, celsius: (id * 7) % 90 }
      })
      hot += readings.filter(isHot).length
      const messages = readings.map((reading) => ({ key: reading.sensor, value: JSON.stringify(reading) }))
      await this.producer.send({ topic: `readings${this.run}`, acks: -1, messages })
    }
    return hot
  }

  /** How far a topic is written, in all its partitions. */
  async written(name: 'enriched' | 'alerts'): Promise<number> {
    const offsets = await this.admin.fetchTopicOffsets(`${name}${this.run}`)
    return offsets.reduce((sum, { high }) => sum + Number(high), 0)
  }

  /** The ids in a topic, as a reader of committed data sees them, until `done` says that it has seen enough. */
  async read(name: 'enriched' | 'alerts', done: (ids: readonly number[]) => Promise<boolean>): Promise<number[]> {
    const consumer = this.kafka.consumer({ groupId: `auditor-${name}${this.run}`, readUncommitted: false })
    await consumer.connect()
    await consumer.subscribe({ topic: `${name}${this.run}`, fromBeginning: true })
    const ids: number[] = []
    try {
      await consumer.run({
        eachMessage: async ({ message }) => void ids.push((JSON.parse(String(message.value)) as Reading).id),
      })
      while (!(await done(ids)));
    } finally {
      await consumer.disconnect()
    }
    return ids
  }

  async close(): Promise<void> {
    await Promise.all([this.admin.disconnect(), this.producer.disconnect()])
    await this.outside.query(`drop database plant${this.run.replace('-', '_')} with (force)`)
    await this.outside.end()
  }
}
