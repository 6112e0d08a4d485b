import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import pg from 'pg'
import type { Client as RabbitmqClient } from 'rabbitmq-stream-js-client'
import { createStream } from 'tidemark/postgres'
import { makeTopics } from '../support/make-topics.js'
import { rabbitmqClient, within } from '../support/rabbitmq-ground.js'
import { groupsOf, type LogKind, partitions, type SoakGroup } from './config.js'
import type { Places } from './orders.js'

/** A write of each busy stream, so often, ms. */
const everyMs = 250

/** The streams of a soak, and the messages that go to the busy ones. */
export class Traffic {
  readonly #over = new AbortController()
  readonly #closing: (() => Promise<unknown>)[] = []
  #writing: Promise<void>[] = []
  /** Messages that were written to each busy stream, by its group. */
  readonly written: Record<string, number> = {}

  private constructor(private readonly groups: readonly SoakGroup[]) {}

  /** Makes the streams, and the table of effects. */
  static async prepare(places: Places): Promise<Traffic> {
    const traffic = new Traffic(groupsOf(places))
    try {
      await traffic.#prepare(places)
      return traffic
    } catch (error) {
      await traffic.close()
      throw error
    }
  }

  readonly #writers = new Map<LogKind, (stream: string, ids: readonly number[]) => Promise<unknown>>()

  async #prepare({ databaseUrl, brokers, rabbitmqUrl }: Places): Promise<void> {
    const of = (log: LogKind) => this.groups.filter((group) => group.log === log)

    const pool = new pg.Pool({ connectionString: databaseUrl, max: 2, application_name: 'soak' })
    pool.on('error', () => {})
    this.#closing.push(() => pool.end())
    await pool.query(
      'create table soak_effects ("group" text, partition int, n bigint not null default 0, primary key ("group", partition))',
    )
    for (const { group, log } of this.groups)
      await pool.query('insert into soak_effects select $1, generate_series(0, $2)', [group, partitions[log] - 1])
    for (const { stream } of of('postgres'))
      await createStream(databaseUrl, { stream, partitions: partitions.postgres })
    this.#writers.set('postgres', (stream, ids) =>
      pool.query(
        `insert into tidemark.events (stream, partition, data)
         select $1, n % $2, jsonb_build_object('id', n) from unnest($3::int[]) n`,
        [stream, partitions.postgres, ids],
      ),
    )

    const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
    const admin = kafka.admin()
    await admin.connect()
    await makeTopics(
      admin,
      of('kafka').map(({ stream: topic }) => ({ topic, numPartitions: partitions.kafka })),
    ).finally(() => admin.disconnect())
    const producer = kafka.producer()
    await producer.connect()
    this.#closing.push(() => producer.disconnect())
    this.#writers.set('kafka', (topic, ids) =>
      producer.send({
        topic,
        messages: ids.map((id) => ({ partition: id % partitions.kafka, value: JSON.stringify({ id }) })),
      }),
    )

    const client: RabbitmqClient = await rabbitmqClient(rabbitmqUrl)
    this.#closing.push(() => client.close())
    for (const { stream } of of('rabbitmq')) {
      await client.createStream({ stream, arguments: {} })
      this.#closing.push(() => client.deleteStream({ stream }))
    }
    const [busy] = of('rabbitmq').filter((group) => group.busy)
    const publisher = await client.declarePublisher({ stream: busy!.stream })
    this.#writers.set('rabbitmq', async (_, ids) => {
      for (const id of ids) await publisher.send(Buffer.from(JSON.stringify({ id })))
      await publisher.flush()
    })
  }

  /** Writes on, evenly, so many messages a second in all, until `end`. */
  begin(perSecond: number): void {
    const busy = this.groups.filter((group) => group.busy)
    const perWrite = Math.max(1, Math.round((perSecond / busy.length) * (everyMs / 1_000)))
    this.#writing = busy.map(async ({ group, log, stream }) => {
      for (let next = 1; !this.#over.signal.aborted; next += perWrite) {
        await this.#writers.get(log)!(
          stream,
          Array.from({ length: perWrite }, (_, i) => next + i),
        )
        this.written[group] = next + perWrite - 1
        await sleep(everyMs, undefined, { signal: this.#over.signal }).catch(() => {})
      }
    })
    // `close` tells.
    for (const writing of this.#writing) writing.catch(() => {})
  }

  /** Writes no more. Rejects when a writer has failed. */
  async end(): Promise<void> {
    this.#over.abort()
    await within(10_000, Promise.all(this.#writing), 'the last writes')
  }

  async close(): Promise<void> {
    try {
      await this.end()
    } finally {
      // RabbitMQ's client waits for ever for some answers. Streams that are left go with the broker.
      for (const close of this.#closing.splice(0).reverse())
        await within(5_000, close(), 'a client to close').catch(() => {})
    }
  }
}
