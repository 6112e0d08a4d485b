import { expect, test } from 'vitest'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { checkVersion } from '../../src/rabbitmq/client/broker-version.js'
import { Frames } from '../../src/rabbitmq/client/frames.js'
import { parseRabbitmq } from '../../src/rabbitmq/client/options.js'

test('a url says where the broker is and who asks', () => {
  const url = 'rabbitmq-stream+tls://me:p%40ss@broker.example/orders%2Feu'
  expect(parseRabbitmq({ url, stream: 'orders' })).toMatchObject({
    host: 'broker.example',
    port: 5551,
    username: 'me',
    password: 'p@ss',
    vhost: 'orders/eu',
    ssl: {},
    name: 'orders',
    isSuper: false,
    keyHeader: 'properties.message-id',
  })
  expect(parseRabbitmq({ superStream: 'invoices', key: { header: 'customer' } })).toMatchObject({
    host: '127.0.0.1',
    port: 5552,
    username: 'guest',
    vhost: '/',
    ssl: null,
    isSuper: true,
    keyHeader: 'customer',
  })
})

test.each([
  [{}, "needs one of 'stream' and 'superStream'"],
  [{ stream: 'a', superStream: 'b' }, "needs one of 'stream' and 'superStream'"],
  [{ url: 'amqp://broker.example', stream: 'a' }, "'url' must be like"],
  [{ url: 'rabbitmq-stream://b.example', host: 'c', stream: 'a' }, "'url' says 'host' already"],
  [{ stream: 'a', heartbeat: '10ms' }, "rabbitmq().heartbeat: '10ms' is too short: must be at least 1s"],
  [{ stream: 'a', prefetch: 5 }, "unknown option 'prefetch'"],
  [{ stream: 'a', port: 70_000 }, 'rabbitmq().port'],
])('%j is refused', (options, words) => {
  expect(() => parseRabbitmq(options)).toThrow(words)
})

test('what people see of a source holds no password', () => {
  const { describe } = rabbitmq({ url: 'rabbitmq-stream://me:hunter2@broker.example', stream: 'orders' })
  expect(JSON.stringify(describe)).not.toContain('hunter2')
  expect(describe).toMatchObject({ broker: 'broker.example:5552', stream: 'orders', tls: false })
  expect(() => parseRabbitmq({ url: 'nonsense:hunter2', stream: 'orders' })).not.toThrow('hunter2')
})

test('a broker that is too old is told the version that is needed', () => {
  for (const version of ['3.13.7', '4.0.5', '10.0.0']) expect(() => checkVersion({ version })).not.toThrow()
  for (const version of ['3.8.0', '3.12.14']) expect(() => checkVersion({ version })).toThrow('3.13 or newer is needed')
})

test('frames come whole, however the socket cuts them', () => {
  const frame = (text: string) => {
    const body = Buffer.from(text)
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length)
    return Buffer.concat([head, body])
  }
  const all = Buffer.concat(['one', '', 'three', 'x'.repeat(100)].map(frame))
  for (const size of [1, 2, 3, 5, 7, 50, all.length]) {
    const found: string[] = []
    const frames = new Frames((bytes) => found.push(bytes.toString('utf8', 4)))
    for (let at = 0; at < all.length; at += size) frames.add(all.subarray(at, at + size))
    expect(found).toEqual(['one', '', 'three', 'x'.repeat(100)])
  }
  expect(() => new Frames(() => {}).add(Buffer.from('AMQP\0\0\x09\x01'))).toThrow('none of a stream')
})
