import { createServer } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { afterEach, expect, it } from 'vitest'
import { connectClient, connectionOptions } from '../../src/temporal/connection.js'

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

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** What connecting there says, and after how many ms. */
async function refusal(address: string, patienceMs = 300) {
  const begun = performance.now()
  const error = await connectClient({ address, namespace: 'default' }, patienceMs).catch((failure) => failure)
  return { code: error.code, message: error.message, soon: performance.now() - begun < 3_000 }
}

it('a server that is not there is named soon, and what starts it', async () => {
  expect(await refusal('127.0.0.1:1')).toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringMatching(
      /^Temporal at 127\.0\.0\.1:1 can't be reached: .*TEMPORAL_ADDRESS.*npx tidemark dev.*docs\//,
    ),
    soon: true,
  })
})

it('a server that says nothing is waited for no longer', async () => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  closers.push(() => silent.close())
  const { port } = silent.address() as { port: number }
  expect(await refusal(`127.0.0.1:${port}`)).toMatchObject({ code: 'UNREACHABLE', soon: true })
})

it('neither is one that no longer answers once it is connected', async () => {
  const bytes = { requestSerialize: Buffer.from, requestDeserialize: Buffer.from }
  const plain = { ...bytes, responseSerialize: Buffer.from, responseDeserialize: Buffer.from }
  const method = (name: string) => ({
    path: `/temporal.api.workflowservice.v1.WorkflowService/${name}`,
    requestStream: false,
    responseStream: false,
    ...plain,
  })
  const server = new Server()
  server.addService(
    { GetSystemInfo: method('GetSystemInfo'), DescribeNamespace: method('DescribeNamespace') },
    {
      GetSystemInfo: (_: unknown, answer: (error: null, body: Buffer) => void) => answer(null, Buffer.alloc(0)),
      DescribeNamespace: () => {},
    },
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  closers.push(() => server.forceShutdown())
  // Longer than the others: it has to be connected first.
  expect(await refusal(`127.0.0.1:${port}`, 1_000)).toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringContaining('DEADLINE_EXCEEDED'),
    soon: true,
  })
})
