import type { Client, Publisher as StreamPublisher } from 'rabbitmq-stream-js-client'

/** Messages that go out as one frame. */
const perFrame = 1_000
/** So many may be on their way: enough to keep the broker busy, and few enough to stay in its memory. */
const mostUnconfirmed = 20_000

/** Publishes to one stream of RabbitMQ, and knows what the broker has confirmed. */
export class Publisher {
  #unconfirmed = 0
  #failed: Error | null = null
  #waiting: (() => void)[] = []

  private constructor(private readonly publisher: StreamPublisher) {
    publisher.on('publish_confirm', (error, ids) => {
      if (error) this.#failed = new Error(`the broker has not taken ${ids.length} messages: code ${error}`)
      this.#unconfirmed -= ids.length
      for (const look of this.#waiting.splice(0)) look()
    })
  }

  static async open(client: Client, stream: string): Promise<Publisher> {
    return new Publisher(await client.declarePublisher({ stream, maxChunkLength: perFrame }))
  }

  async send({ key, value }: { readonly key: string; readonly value: string }): Promise<void> {
    this.#unconfirmed++
    await this.publisher.send(Buffer.from(value), { messageProperties: { messageId: key } })
    if (this.#unconfirmed >= mostUnconfirmed) await this.#until(mostUnconfirmed / 2)
  }

  /** Resolves when the broker has confirmed everything. */
  async confirmed(): Promise<void> {
    await this.publisher.flush()
    await this.#until(0)
  }

  async close(): Promise<void> {
    await this.confirmed()
    await this.publisher.close()
  }

  async #until(left: number): Promise<void> {
    while (this.#unconfirmed > left) {
      if (this.#failed) throw this.#failed
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    if (this.#failed) throw this.#failed
  }
}
