import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../src/model/errors.js'
import { describeAddress, parseListenAddress } from '../../../src/monitoring/address.js'
import { Meters } from '../../../src/monitoring/metrics.js'
import { PageServer } from '../../../src/monitoring/page-server.js'
import { type Observed, Readiness } from '../../../src/monitoring/readiness.js'
import { silentLog } from '../../support/silent-log.js'

describe('an address to listen on', () => {
  it.each([
    [9464, { host: '127.0.0.1', port: 9464 }],
    ['9464', { host: '127.0.0.1', port: 9464 }],
    ['0.0.0.0:9464', { host: '0.0.0.0', port: 9464 }],
    ['[::]:9464', { host: '::', port: 9464 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
  ])('%s', (value, address) => {
    expect(parseListenAddress(value, '--port')).toEqual(address)
  })

  it.each(['', 'metrics', '99999', -1, 9464.5, '::1', '[nothing]:1', 'a b:1', 'http://127.0.0.1:9464'])(
    'not %s',
    (value) => {
      expect(() => parseListenAddress(value, '--port')).toThrow(/^--port '.*' is no address to listen on/)
    },
  )

  it('is shown as a URL', () => {
    expect(describeAddress({ host: '::', port: 9464 })).toBe('http://[::]:9464')
  })
})

describe('the pages of a worker', () => {
  let metrics: Meters
  let readiness: Readiness
  let server: PageServer
  let url: string

  beforeEach(async () => {
    metrics = new Meters('1.2.3', async () => ({ absent: 'Without the SDK.' }))
    readiness = new Readiness()
    const at = { host: '127.0.0.1', port: 0 }
    server = await PageServer.listen(at, { metrics, readiness, log: silentLog() })
    url = describeAddress(server.address)
  })
  afterEach(async () => {
    metrics.end()
    await server.close()
  })

  const connected = (change: Partial<Observed> = {}) =>
    readiness.connected(() => ({
      state: 'running',
      consumers: [{ group: 'billing', stream: 'orders', partitions: 12 }],
      isPolling: true,
      parts: [],
      ...change,
    }))
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${url}${path}`, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    return { status: response.status, body: isJson && text ? (JSON.parse(text) as unknown) : text }
  }

  it('a process that connects is live, and not ready', async () => {
    expect(await ask('/livez')).toEqual({ status: 200, body: { status: 'live', state: 'connecting' } })
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: { status: 'not ready', state: 'connecting' } })
  })

  it('a worker that asks for work, and whose parts answer, is ready', async () => {
    connected({ parts: [{ place: 'Temporal', ask: async () => {} }] })
    const consumers = [{ group: 'billing', stream: 'orders', partitions: 12 }]
    expect(await ask('/readyz')).toEqual({ status: 200, body: { status: 'ready', state: 'running', consumers } })
  })

  it('a worker that is stopping is live, and not ready', async () => {
    connected({ state: 'stopping' })
    expect((await ask('/livez')).status).toBe(200)
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: { reasons: ['the worker is stopping'] } })
  })

  it('a worker that has failed is not live', async () => {
    connected({ state: 'failed' })
    expect(await ask('/livez')).toEqual({ status: 503, body: { status: 'failed', state: 'failed' } })
  })

  it('a worker that does not ask for work is not ready', async () => {
    connected({ isPolling: false })
    expect(await ask('/readyz')).toMatchObject({
      status: 503,
      body: { reasons: ['it does not ask Temporal for work'] },
    })
  })

  it('a part that fails or is silent is named within a second, without what it said', async () => {
    connected({
      parts: [
        { place: 'Temporal at t:7233', ask: () => new Promise(() => {}) },
        { place: 'the database', ask: () => Promise.reject(new TidemarkError('AUTH_FAILED', 'hunter2 is wrong')) },
      ],
    })
    const begun = performance.now()
    const { body } = await ask('/readyz')
    expect(performance.now() - begun).toBeLessThan(1_000)
    expect(body).toMatchObject({
      reasons: ['Temporal at t:7233 has not answered for 800 ms', 'the database does not answer (AUTH_FAILED)'],
    })
  })

  it('parts are not asked by each probe', async () => {
    let asked = 0
    connected({ parts: [{ place: 'Temporal', ask: async () => void asked++ }] })
    await Promise.all([ask('/readyz'), ask('/readyz')])
    await ask('/readyz')
    expect(asked).toBe(1)
  })

  it('metrics come as Prometheus reads them', async () => {
    const response = await fetch(`${url}/metrics`)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await response.text()).toContain('tidemark_build_info{version="1.2.3"')
  })

  it('a HEAD request has no body, others are refused, and so are other paths', async () => {
    expect(await ask('/livez', { method: 'HEAD' })).toEqual({ status: 200, body: '' })
    expect((await ask('/livez', { method: 'POST' })).status).toBe(405)
    expect(await ask('/__proto__')).toEqual({ status: 404, body: { error: 'there is /livez, /readyz, /metrics' } })
  })

  it('a port that is taken is named', async () => {
    const parts = { metrics, readiness, log: silentLog() }
    await expect(PageServer.listen(server.address, parts)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^can't listen on port \d+ of 127.0.0.1: another process listens there/),
    })
  })

  it('a port is free again once its server is closed, though a client keeps its connection', async () => {
    await ask('/livez')
    await server.close()
    const next = createServer()
    await new Promise<void>((resolve, reject) => {
      next.once('error', reject)
      next.listen(server.address.port, '127.0.0.1', resolve)
    })
    next.close()
  })
})
