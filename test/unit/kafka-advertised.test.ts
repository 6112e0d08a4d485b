import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { BrokerLink } from '../../src/kafka/client/broker-link.js'
import { Connector } from '../../src/kafka/client/driver.js'
import { kafkaError } from '../../src/kafka/client/failures.js'
import { parseKafka } from '../../src/kafka/client/options.js'
import { messageOf } from '../../src/model/errors.js'
import { silentLog } from '../support/silent-log.js'

/** What a person reads of a broker at a port where nobody listens. */
async function failure(brokers: (silent: string) => readonly string[]): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  const settings = parseKafka({ brokers: brokers(`127.0.0.1:${port}`), topic: 'orders' })
  const address = { host: '127.0.0.1', port }
  const { signal } = new AbortController()
  const error = await BrokerLink.open(new Connector(settings, silentLog()), address, signal).catch((error) => error)
  return messageOf(kafkaError(error, settings)).replaceAll(`:${port}`, ':PORT')
}

it('a broker that another one has named is blamed by its address', async () => {
  expect(await failure(() => ['kafka.example:9092'])).toMatch(
    /^the broker at 127\.0\.0\.1:PORT, an address that Kafka at kafka\.example:9092 has named, can't be reached: .*'advertised\.listeners'[^(]*from here \(.*ECONNREFUSED.*\)$/,
  )
})

it('a broker of the config is blamed by the config', async () => {
  expect(await failure((silent) => [silent])).toMatch(
    /^Kafka at 127\.0\.0\.1:PORT can't be reached: is it running, and are 'brokers' right\? For development, 'npx tidemark dev' starts it; see docs\/troubleshooting\.md \(/,
  )
})
