import { expect, it } from 'vitest'
import { Brokers } from '../../src/kafka/client/brokers.js'
import { connectionError, kafkaError, passing } from '../../src/kafka/client/failures.js'
import type { Links } from '../../src/kafka/client/link-pool.js'
import { TidemarkError } from '../../src/model/errors.js'

const settings = { brokers: ['one:9093', 'other:9093'], topic: 'orders' }
const failed = (code: string) => Object.assign(new Error('Connection error'), { code })
const selfSigned = () => connectionError(failed('SELF_SIGNED_CERT_IN_CHAIN'), 'one:9093', settings) as TidemarkError

it('a certificate that is not trusted is said with the address that has shown it', () => {
  expect(selfSigned()).toMatchObject({
    code: 'AUTH_FAILED',
    message: expect.stringMatching(
      /^Kafka at one:9093 has shown a certificate that is not trusted \(Connection error\): name its/,
    ),
  })
  // One that is not for this name, too, at an address that only another broker has named.
  expect(connectionError(failed('ERR_TLS_CERT_ALTNAME_INVALID'), '10.0.0.1:9093', settings)).toMatchObject({
    message: expect.stringContaining('address the server by the name in the certificate'),
  })
})

it('a broker that wants a certificate is not taken for one whose certificate is not trusted', () => {
  const error = connectionError(failed('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'one:9093', settings)
  expect(error).toMatchObject({
    code: 'AUTH_FAILED',
    message: expect.stringMatching(/^Kafka at one:9093 has ended the TLS connection .*'cert' and 'key'/),
  })
})

it('a certificate that is no longer trusted passes at run time, and a refused login does not', () => {
  expect(passing(selfSigned())).toMatchObject({ code: 'UNREACHABLE', effect: 'retry', message: selfSigned().message })
  const login = kafkaError(Object.assign(new Error('no'), { type: 'SASL_AUTHENTICATION_FAILED' }), settings)
  expect(passing(login)).toMatchObject({ code: 'AUTH_FAILED', effect: 'stop' })
})

it('the next broker is asked behind one whose certificate is not trusted, and not behind one that refuses the login', async () => {
  const ask = async (failure: TidemarkError) => {
    const asked: string[] = []
    const links: Links = {
      signal: new AbortController().signal,
      use: async ({ host }) => {
        asked.push(host)
        if (host === 'one') throw failure
        return 'answer' as never
      },
      close: async () => {},
    }
    const answer = await new Brokers(links, settings).ask(async () => 'answer').catch(({ code }) => code)
    return [asked, answer]
  }
  expect(await ask(selfSigned())).toEqual([['one', 'other'], 'answer'])
  expect(await ask(new TidemarkError('AUTH_FAILED', 'refused'))).toEqual([['one'], 'AUTH_FAILED'])
})
