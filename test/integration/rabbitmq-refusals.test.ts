import { createServer, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { isTidemarkError, type TidemarkError } from '../../src/model/errors.js'
import type { Source } from '../../src/ports/index.js'
import { Project, type Ran, refused } from '../support/cli.js'
import { FakeStreamBroker } from '../support/fake-stream-broker.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { manage } from '../support/rabbitmq-ground.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** How connecting fails: one line, and nothing that nobody catches. */
async function refusal(source: Source): Promise<TidemarkError> {
  const error = await source.connect({ log: silentLog(), signal: new AbortController().signal }).then(
    () => new Error('it connected'),
    (error: unknown) => error,
  )
  if (!isTidemarkError(error)) throw error
  expect(error.message).not.toContain('\n')
  return error
}

const unhandled: unknown[] = []
const note = (error: unknown) => unhandled.push(error)
const ends: (() => unknown)[] = []
beforeEach(() => {
  process.on('unhandledRejection', note)
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
  process.off('unhandledRejection', note)
  expect(unhandled.splice(0)).toEqual([])
})

describeWith(['rabbitmq'], 'a RabbitMQ broker that says no', () => {
  const { url, amqpUrl, managementUrl } = part('rabbitmq')

  test('to the password, the virtual host, the stream or the super stream', async () => {
    const wrong = new URL(url)
    wrong.password = 'hunter2'
    // The broker answers logins that fail after 3 s.
    const [password, vhost] = await Promise.all([
      refusal(rabbitmq({ url: wrong.href, stream: 'any' })),
      refusal(rabbitmq({ url: `${url}/nowhere`, stream: 'any' })),
    ])
    expect(password.code).toBe('AUTH_FAILED')
    expect(password.message).toContain('user name and password')
    expect(`${password.stack} ${JSON.stringify(password)}`).not.toContain('hunter2')
    expect(vhost.code).toBe('AUTH_FAILED')
    expect(vhost.message).toContain("virtual host 'nowhere'")
    expect((await refusal(rabbitmq({ url, stream: unique('missing') }))).code).toBe('STREAM_NOT_FOUND')
    expect((await refusal(rabbitmq({ url, superStream: unique('missing') }))).code).toBe('STREAM_NOT_FOUND')
  })

  test('to a user without the right to read', async () => {
    const name = unique('user')
    const user = (method: string, path: string, body?: object) => manage(managementUrl, method, path, body)
    await user('PUT', `users/${name}`, { password: 'p', tags: '' })
    ends.push(() => user('DELETE', `users/${name}`))
    await user('PUT', `permissions/%2F/${name}`, { configure: '.*', write: '.*', read: 'nothing' })
    ends.push(() => user('DELETE', `queues/%2F/${name}`))
    await user('PUT', `queues/%2F/${name}`, { durable: true, arguments: { 'x-queue-type': 'stream' } })
    const theirs = new URL(url)
    theirs.username = name
    theirs.password = 'p'
    const signal = new AbortController().signal
    const client = await rabbitmq({ url: theirs.href, stream: name }).connect({ log: silentLog(), signal })
    ends.push(() => client.close())
    await expect(client.bounds([0])).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringMatching(new RegExp(`refused user '${name}'.*the right to read stream '${name}'`)),
      place: { stream: name, partition: 0 },
    })
  })

  test("by speaking AMQP or HTTP: it is the broker's other port", async () => {
    const amqp = await refusal(rabbitmq({ port: Number(new URL(amqpUrl!).port), stream: 'any' }))
    expect(amqp.code).toBe('CONFIG_INVALID')
    expect(amqp.message).toContain(
      "this is RabbitMQ's AMQP port (5672 as a rule); streams have a port of their own, 5552",
    )
    const http = await refusal(rabbitmq({ port: Number(new URL(managementUrl!).port), stream: 'any' }))
    expect(http.message).toContain('this is a port for HTTP')
  })
})

describe('a server that is no broker', () => {
  async function listening(server: Server): Promise<number> {
    server.listen(0, '127.0.0.1')
    await waitFor(() => server.listening, { what: 'the server to listen' })
    ends.push(() => server.close())
    return (server.address() as { port: number }).port
  }

  test('and says nothing is given up in time', async () => {
    const port = await listening(createServer((socket) => ends.push(() => socket.destroy())))
    const error = await refusal(rabbitmq({ port, stream: 'any', requestTimeout: '300ms' }))
    expect(error.code).toBe('UNREACHABLE')
    expect(error.message).toContain('no answer within 300 ms')
    const tls = await refusal(rabbitmq({ port, stream: 'any', ssl: true, connectionTimeout: '300ms' }))
    expect(tls.code).toBe('UNREACHABLE')
    expect(tls.message).toContain('no TLS connection within 300 ms')
  })

  test('or hangs up is not there', async () => {
    const port = await listening(createServer((socket) => socket.destroy()))
    const error = await refusal(rabbitmq({ port, stream: 'any' }))
    expect(error.code).toBe('UNREACHABLE')
    expect(error.message).toContain('plugin rabbitmq_stream')
  })

  test('but an old one is told the version that is needed', async () => {
    const broker = await FakeStreamBroker.start({ version: '3.10.8' })
    ends.push(() => broker.close())
    const error = await refusal(rabbitmq({ port: broker.port, stream: 'any' }))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain('is RabbitMQ 3.10.8, and 3.13 or newer is needed')
  })
})

describeWith(['rabbitmq', 'temporal', 'postgres'], 'tidemark start with a RabbitMQ source', () => {
  test('ends with one line for what waiting does not mend', async () => {
    const database = await freshDatabase()
    const project = await Project.create({ DATABASE_URL: database.connectionString })
    ends.push(
      () => project.close(),
      () => database.drop(),
    )
    const { url, amqpUrl } = part('rabbitmq')
    const started = async (name: string, source: object): Promise<Ran> => {
      await project.write(
        `${name}.config.ts`,
        `import { consumer, defineConfig } from 'tidemark'
         import { postgresStore } from 'tidemark/postgres'
         import { rabbitmq } from 'tidemark/rabbitmq'
         const store = postgresStore({ connectionString: process.env.DATABASE_URL })
         const source = rabbitmq(${JSON.stringify(source)})
         export default defineConfig({ store, consumers: [consumer({ group: 'g', source, handler: async () => {} })] })`,
      )
      return project.run(['start', '--config', `${name}.config.ts`])
    }
    const [port, missing] = await Promise.all([
      started('port', { port: Number(new URL(amqpUrl!).port), stream: 'any' }),
      started('missing', { url, superStream: unique('missing') }),
    ])
    refused(port, 2)
    expect(port.stderr).toContain("this is RabbitMQ's AMQP port")
    refused(missing, 1)
    expect(missing.stderr).toMatch(/has no super stream 'missing.*: create it/)
  })
})
