import { type Client, connect } from 'rabbitmq-stream-js-client'
import { part } from './parts.js'
import { waitFor } from './wait-for.js'

/** A client of the stack's broker, for what tests do there themselves. */
export async function rabbitmqClient(url = part('rabbitmq').url): Promise<Client> {
  const { hostname, port, username, password } = new URL(url)
  const open = () => connect({ hostname, port: Number(port), username, password, vhost: '/', heartbeat: 60 })
  // The client's own connect has no end where the broker hangs up on it, as it does while it starts.
  return waitFor(() => within(5_000, open(), 'a connection'), { timeout: 30_000, what: 'the broker to take a client' })
}

/** What a test publishes. */
export interface Published {
  readonly content: Buffer
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Publishes in this order; resolves when the broker has confirmed all. */
export async function publish(client: Client, stream: string, messages: readonly Published[]): Promise<void> {
  const publisher = await client.declarePublisher({ stream })
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
        ...(headers ? { applicationProperties: { ...headers } } : {}),
      })
    }
    await publisher.flush()
    if (messages.length > 0) await within(30_000, all, `the broker to confirm ${messages.length} messages`)
  } finally {
    await publisher.close()
  }
}

function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Asks the management plugin. */
export async function manage(method: string, path: string, body?: object): Promise<unknown> {
  const { managementUrl } = part('rabbitmq')
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
