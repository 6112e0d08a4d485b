import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { type Stack, startStack } from '../../src/local/stack.js'
import { type Certificates, makeCertificates } from '../support/certificates.js'
import { describeWith } from '../support/parts.js'
import { manage, publish, RabbitmqGround, take } from '../support/rabbitmq-ground.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['rabbitmq'], 'a RabbitMQ broker of our own', () => {
  let stack: Stack
  let certificates: Certificates
  let ground: RabbitmqGround
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)

  beforeAll(async () => {
    certificates = await makeCertificates()
    stack = await startStack({ rabbitmq: { own: true, tls: certificates } })
    process.on('unhandledRejection', note)
  })
  afterAll(async () => {
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
    await stack?.stop()
    await certificates?.remove()
  })
  beforeEach(async () => {
    ground = await RabbitmqGround.on(stack.rabbitmq.url)
  })
  afterEach(() => ground.close())

  const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ content: Buffer.from(`${n}`) }))
  /** A stream needs a moment after its broker. */
  const publishAfterAll = async (stream: string) => {
    const again = await RabbitmqGround.on(stack.rabbitmq.url)
    const work = () => publish(again.client, stream, [{ content: Buffer.from('"after"') }])
    await waitFor(() => work().then(() => true), { what: 'the stream to be back', timeout: 60_000 })
    await again.close()
  }

  test('is read over TLS by those who know its authority, and nobody takes it for something else', async () => {
    const stream = await ground.stream()
    await publish(ground.client, stream, numbers(3))
    const url = stack.rabbitmq.tlsUrl!
    const ca = await readFile(certificates.ca, 'utf8')
    const client = await ground.connect(rabbitmq({ url, stream, ssl: { ca } }))
    expect((await take(ground.read(client, stream, 0n), 3)).map(({ value }) => value)).toEqual([0, 1, 2])
    const { port, username, password } = new URL(url)
    const login = { port: Number(port), username, password, stream }
    await expect(ground.connect(rabbitmq({ url, stream }))).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringMatching(/a certificate that is not trusted \(.+\): name its authority with 'ssl: { ca }'/),
    })
    await expect(ground.connect(rabbitmq({ ...login, host: 'localhost', ssl: { ca } }))).resolves.toBeDefined()
    await expect(ground.connect(rabbitmq(login))).rejects.toMatchObject({
      message: expect.stringContaining('this port wants TLS'),
    })
    await expect(ground.connect(rabbitmq({ url, stream, ssl: { cert: 'no certificate' } }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining("rabbitmq().ssl can't be used"),
    })
    const plain = rabbitmq({
      ...login,
      port: Number(new URL(stack.rabbitmq.url).port),
      ssl: { ca },
      connectionTimeout: 500,
    })
    await expect(ground.connect(plain)).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  test('is waited for: killed in the middle, no message is lost and none comes twice', async () => {
    const count = 100_000
    const stream = await ground.stream()
    await publish(ground.client, stream, numbers(count))
    // A broker that is killed within seconds after a stream was created may never find it again. One that was ended in order does.
    await stack.rabbitmq.restart()
    const connect = () => ground.connect(rabbitmq({ url: ground.url, stream, heartbeat: '1s' }))
    const client = await waitFor(connect, { what: 'the stream to be back', timeout: 60_000 })
    const waiting = client.waitForData(0, BigInt(count), AbortSignal.timeout(100_000))
    const reader = ground.read(client, stream, 0n)
    let next = 0
    let restarting: Promise<void> | null = null
    while (next < count) {
      const chunk = await reader.next({ maxMessages: 1_000, waitMs: 60_000 })
      if (!chunk) throw new Error(`nothing came after ${next} messages`)
      for (const { value, offset } of chunk.messages) {
        if (value !== next || offset !== BigInt(next)) throw new Error(`${value} at ${offset} instead of ${next}`)
        next++
      }
      chunk.release()
      if (restarting || next < count / 2) continue
      await stack.rabbitmq.kill()
      restarting = stack.rabbitmq.restart()
    }
    await restarting
    expect(next).toBe(count)
    await publishAfterAll(stream)
    expect(await waiting).toBe(true)
  })

  test('is noticed when it freezes; a password changed meanwhile is said, and read on with when it is right again', async () => {
    const setPassword = (password: string) =>
      manage(stack.rabbitmq.managementUrl, 'PUT', 'users/somebody', { password, tags: '' })
    await setPassword('right')
    const all = { configure: '.*', write: '.*', read: '.*' }
    await manage(stack.rabbitmq.managementUrl, 'PUT', 'permissions/%2F/somebody', all)
    const stream = await ground.stream()
    await publish(ground.client, stream, numbers(1))
    const { port } = new URL(ground.url)
    const login = { port: Number(port), username: 'somebody', password: 'right' }
    const client = await ground.connect(rabbitmq({ ...login, stream, heartbeat: '1s', requestTimeout: '5s' }))
    const reader = ground.read(client, stream, 0n)
    expect(await take(reader, 1)).toHaveLength(1)
    await setPassword('wrong')
    await stack.rabbitmq.pause()
    const coming = take(reader, 1)
    coming.catch(() => {})
    const warned = (text: string) => () =>
      ground.log.lines.some(({ level, fields }) => level === 'warn' && JSON.stringify(fields).includes(text))
    await waitFor(warned('has not been heard of'), { what: 'the outage to be logged' })
    await stack.rabbitmq.resume()
    await waitFor(warned('authentication failure'), { what: 'the refused login to be logged' })
    await setPassword('right')
    await publishAfterAll(stream)
    expect((await coming).map(({ value }) => value)).toEqual(['after'])
  })
})
