import { type Client, connect } from 'rabbitmq-stream-js-client'
import type { LogJob } from './job.js'
import type { Log } from './log.js'
import { type IsPoison, message } from './message.js'
import { Publisher } from './publisher.js'

/** Makes super streams in RabbitMQ and writes to them. */
export class Streams implements Log {
  readonly #created: string[] = []
  /** Of the streams that single messages go to. */
  readonly #publishers = new Map<string, Promise<Publisher>>()

  private constructor(
    private readonly url: string,
    private readonly client: Client,
  ) {}

  static async connect(url: string): Promise<Streams> {
    return new Streams(url, await rabbitmqClient(url))
  }

  jobOf(name: string): LogJob {
    return { kind: 'rabbitmq', url: this.url, superStream: name }
  }

  async create(name: string, partitions: number): Promise<void> {
    this.#created.push(name)
    await this.client.createSuperStream({ streamName: name }, undefined, partitions)
  }

  async fill(name: string, partitions: number, count: number, isPoison?: IsPoison): Promise<void> {
    const streams = await this.client.queryPartitions({ superStream: name })
    const publishers = await Promise.all(streams.map((stream) => Publisher.open(this.client, stream)))
    for (let number = 0; number < count; number++)
      await publishers[number % partitions]!.send(message(number, isPoison?.(number)))
    await Promise.all(publishers.map((publisher) => publisher.close()))
  }

  async send(name: string, partition: number, number: number): Promise<void> {
    const stream = `${name}-${partition}`
    const known = this.#publishers.get(stream) ?? Publisher.open(this.client, stream)
    this.#publishers.set(stream, known)
    const publisher = await known
    await publisher.send(message(number))
    await publisher.confirmed()
  }

  async close(): Promise<void> {
    for (const publisher of this.#publishers.values()) await (await publisher).close()
    try {
      for (const streamName of this.#created) await this.client.deleteSuperStream({ streamName })
    } finally {
      await this.client.close()
    }
  }
}

/** A client of the broker that a URL names. */
export function rabbitmqClient(url: string): Promise<Client> {
  const { hostname, port, username, password } = new URL(url)
  return connect({ hostname, port: Number(port), username, password, vhost: '/' })
}
