import { setTimeout as delay } from 'node:timers/promises'
import { type Admin, CompressionTypes, Kafka, logLevel, type Producer } from 'kafkajs'
import type { LogJob } from './job.js'
import type { Log } from './log.js'
import { type IsPoison, message } from './message.js'

const perRequest = 1_000
/** How long a new topic's partitions may take to get their leaders, ms. */
const leadersWithinMs = 30_000
/** Messages of one partition in a request. The same for few and for many partitions, since larger record batches are cheaper to read. */
const perRecordBatch = 250

/** Makes topics in Kafka and writes to them. */
export class Topics implements Log {
  readonly #admin: Admin
  readonly #producer: Producer
  readonly #created: string[] = []

  private constructor(
    private readonly brokers: readonly string[],
    admin: Admin,
    producer: Producer,
  ) {
    this.#admin = admin
    this.#producer = producer
  }

  static async connect(brokers: readonly string[]): Promise<Topics> {
    const kafka = new Kafka({ clientId: 'bench', brokers: [...brokers], logLevel: logLevel.ERROR })
    const topics = new Topics(brokers, kafka.admin(), kafka.producer())
    await Promise.all([topics.#admin.connect(), topics.#producer.connect()])
    return topics
  }

  jobOf(topic: string): LogJob {
    return { kind: 'kafka', brokers: this.brokers, topic }
  }

  async create(topic: string, partitions: number): Promise<void> {
    this.#created.push(topic)
    await this.#admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: false })
    // A leader that is named may not have taken over yet. Refusing some partitions of a request, it would get all of them twice.
    const deadline = Date.now() + leadersWithinMs
    while ((await this.#heads(topic).catch(() => [])).length < partitions) {
      if (Date.now() > deadline) throw new Error(`not all of ${topic}'s ${partitions} partitions have a leader`)
      await delay(100)
    }
  }

  async fill(topic: string, partitions: number, count: number, isPoison?: IsPoison): Promise<void> {
    const perPartition = Math.ceil(count / partitions)
    // Whole rounds over the partitions, so that all of them hold the same.
    const inTurn = Math.ceil(perPartition / Math.ceil(perPartition / perRecordBatch))
    for (let from = 0; from < count; from += perRequest) {
      const numbers = Array.from({ length: Math.min(perRequest, count - from) }, (_, index) => from + index)
      const messages = numbers.map((number) => ({
        partition: Math.floor(number / inTurn) % partitions,
        ...message(number, isPoison?.(number)),
      }))
      await this.#producer.send({ topic, messages, acks: -1, compression: CompressionTypes.None })
    }
    const written = (await this.#heads(topic)).reduce((sum, head) => sum + head, 0)
    if (written !== count)
      throw new Error(`${topic} holds ${written} messages instead of ${count}: some were sent twice`)
  }

  async send(topic: string, partition: number, number: number): Promise<void> {
    await this.#producer.send({ topic, messages: [{ partition, ...message(number) }], acks: -1 })
  }

  async #heads(topic: string): Promise<number[]> {
    return (await this.#admin.fetchTopicOffsets(topic)).map(({ high }) => Number(high))
  }

  /** Deletes the topics, too; not before the end, because kafkajs goes on asking for every topic it ever used. */
  async close(): Promise<void> {
    await this.#producer.disconnect()
    try {
      if (this.#created.length > 0) await this.#admin.deleteTopics({ topics: this.#created })
    } finally {
      await this.#admin.disconnect()
    }
  }
}
