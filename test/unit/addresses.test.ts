import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kafka } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { isBrokerAddress } from '../../src/kafka/client/address.js'
import { addressText, hostAndPort } from '../../src/model/address.js'
import { messageOf } from '../../src/model/errors.js'
import { whereaboutsOf } from '../../src/model/whereabouts.js'
import { connectError } from '../../src/postgres/client/pool.js'
import { rabbitmqError } from '../../src/rabbitmq/client/failures.js'
import { parseRabbitmq } from '../../src/rabbitmq/client/options.js'

const port = fc.integer({ min: 1, max: 65_535 })

describe("a broker's address", () => {
  it('is what hosts, IPv4 and IPv6 addresses are with a port, and comes apart again', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constant('fe80::1%eth0'))
    fc.assert(
      fc.property(host, port, (host, port) => {
        const text = addressText({ host, port })
        expect(isBrokerAddress(text)).toBe(true)
        expect(hostAndPort(text)).toEqual({ host, port })
      }),
    )
  })

  it.each([
    '::1:9092',
    '[::1]',
    '[b]:9092',
    'b',
    'b:',
    'b:0',
    'b:65536',
    'http://b:9092',
    'me@b:9092',
    'b:9092/x',
    ' b:1',
  ])('is not %j', (text) => {
    expect(isBrokerAddress(text)).toBe(false)
    expect(() => kafka({ brokers: [text], topic: 't' })).toThrow("must be 'host:port', for example")
  })
})

it('IPv6 addresses are dialled without brackets, and shown with them', () => {
  const [brokers, url] = [['[::1]:9092'], 'rabbitmq-stream://me:pw@[::1]:5553']
  const store = postgresStore({ connectionString: 'postgres://me:pw@[::1]:5433/bank' })
  expect(whereaboutsOf(kafka({ brokers, topic: 't' }))?.addresses).toEqual([{ host: '::1', port: 9092 }])
  expect(whereaboutsOf(rabbitmq({ url, stream: 's' }))?.addresses).toEqual([{ host: '::1', port: 5553 }])
  expect(whereaboutsOf(store)?.addresses).toEqual([{ host: '::1', port: 5433 }])
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  expect(rabbitmqError(refused, parseRabbitmq({ url, stream: 's' })).message).toMatch(/^RabbitMQ at \[::1\]:5553 can't/)
  const settings = { connectionString: 'postgres://me:pw@[::1]:5433/bank', schema: 's', poolSize: 1 }
  expect(messageOf(connectError(refused, settings as never))).toContain('Postgres at [::1]:5433')
})
