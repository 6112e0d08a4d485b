import { type Client, connect } from 'rabbitmq-stream-js-client'
import type { Message, Reader, ReadOptions, Source, SourceClient } from '../../src/ports/index.js'
import { SharedBudget } from '../../src/worker/budget.js'
import { part } from './parts.js'
import { silentLog } from './silent-log.js'
import { unique } from './unique.js'
import { waitFor } from './wait-for.js'

/** What a test publishes. */
export interface Published {
  readonly content: Buffer
  readonly key?: string
  /** Null as AMQP has it. */
  readonly headers?: Readonly<Record<string, string | null>>
}

/** Streams, and connected sources and their readers for a test; `close` ends them all. */
export class RabbitmqGround {
  readonly log = silentLog()
  readonly #closing: (() => Promise<unknown>)[] = []

  private constructor(
    readonly url: string,
    readonly client: Client,
  ) {
    this.#closing.push(() => within(5_000, client.close(), 'the connection to close').catch(() => {}))
  }

  static async on(url = part('rabbitmq').url): Promise<RabbitmqGround> {
    return new RabbitmqGround(url, await rabbitmqClient(url))
  }

  async stream(): Promise<string> {
    const stream = unique('stream')
    await within(10_000, this.client.createStream({ stream, arguments: {} }), 'a stream')
    return stream
  }

  async connect<V>(source: Source<V>): Promise<SourceClient<V>> {
    const client = await source.connect({ log: this.log, signal: new AbortController().signal })
    this.#closing.push(() => client.close())
    return client
  }

  read<V>(client: SourceClient<V>, stream: string, from: bigint, change: Partial<ReadOptions> = {}): Reader<V> {
    const reader = client.read(from, {
      key: { group: 'g', stream, partition: 0 },
      replay: 0,
      fetchBytes: 64 * 1024,
      budget: new SharedBudget(256 * 1024 * 1024),
      signal: new AbortController().signal,
      ...change,
    })
    this.#closing.push(() => reader.close())
    return reader
  }

  async close(): Promise<void> {
    while (this.#closing.length > 0) await this.#closing.pop()!()
  }
}

/** Reads on until there are so many messages. Throws poison. */
export async function take<V>(reader: Reader<V>, count: number): Promise<Message<V>[]> {
  const messages: Message<V>[] = []
  while (messages.length < count) {
    const chunk = await reader.next({ maxMessages: 1_000, waitMs: 30_000 })
    if (!chunk) throw new Error(`nothing came after ${messages.length} messages`)
    for (const message of chunk.messages) messages.push(message)
    chunk.release()
    if (chunk.poison) throw chunk.poison.error
  }
  return messages
}

/** A client of the stack's broker, for what tests do there themselves. */
export async function rabbitmqClient(url = part('rabbitmq').url): Promise<Client> {
  const { hostname, port, username, password } = new URL(url)
  const open = () => connect({ hostname, port: Number(port), username, password, vhost: '/', heartbeat: 60 })
  return waitFor(() => within(5_000, open(), 'a connection'), { timeout: 30_000, what: 'the broker to take a client' })
}

/** Publishes in this order; resolves when the broker has confirmed all. Tried again as a whole, some may be there twice. */
export async function publish(client: Client, stream: string, messages: readonly Published[]): Promise<void> {
  // It opens a connection to the stream's broker.
  const publisher = await within(10_000, client.declarePublisher({ stream }), `a publisher to ${stream}`)
  try {
    let confirmed = 0
    const all = new Promise<void>((resolve, reject) => {
      publisher.on('publish_confirm', (error, ids) => {
        if (error) reject(new Error(`not confirmed: ${error}`))
        confirmed += ids.length
        if (confirmed >= messages.length) resolve()
      })
    })
    for (const { content, key, headers } of messages) {
      await publisher.send(content, {
        ...(key === undefined ? {} : { messageProperties: { messageId: key } }),
        // The client writes null, though its types do not say so.
        ...(headers ? { applicationProperties: { ...(headers as Record<string, string>) } } : {}),
      })
    }
    await publisher.flush()
    if (messages.length > 0) await within(30_000, all, `the broker to confirm ${messages.length} messages`)
  } finally {
    await within(5_000, publisher.close(), 'the publisher to close').catch(() => {})
  }
}

/** An end for what the client leaves without one: each of its requests waits for ever where the broker hangs up on it. */
export function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Asks the management plugin, by the address that the local stack tells. */
export async function manage(
  managementUrl: string | null,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  if (managementUrl === null) throw new Error('RABBITMQ_MANAGEMENT_URL is needed beside RABBITMQ_URL')
  const { origin, username, password } = new URL(managementUrl)
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  const answer = await fetch(`${origin}/api/${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  const text = await answer.text()
  return text === '' ? null : JSON.parse(text)
}
