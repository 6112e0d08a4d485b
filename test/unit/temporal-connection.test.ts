import { expect, it } from 'vitest'
import { connectionOptions } from '../../src/temporal/connection.js'

const place = { address: 'a:7233', namespace: 'n' }
const [ca, cert, key] = ['ca', 'cert', 'key'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer]

it('certificates and a name reach the SDK as its connections call them', () => {
  expect(connectionOptions({ ...place, tls: { ca, cert, key, serverName: 's' } })).toEqual({
    address: 'a:7233',
    tls: { serverNameOverride: 's', serverRootCACertificate: ca, clientCertPair: { crt: cert, key } },
  })
})

it('an API key needs no more: the SDK switches TLS on with it, unless it is told otherwise', () => {
  expect(connectionOptions({ ...place, apiKey: 'k' })).toEqual({ address: 'a:7233', apiKey: 'k' })
  expect(connectionOptions({ ...place, apiKey: 'k', tls: false })).toEqual({
    address: 'a:7233',
    apiKey: 'k',
    tls: false,
  })
})
