import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket, connect as socketTo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { waitFor } from '../support/wait-for.js'
import { Wire } from '../support/wire.js'

describe('a wire', () => {
  let echo: Server
  let wire: Wire
  const sockets: Socket[] = []

  beforeEach(async () => {
    echo = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
    await once(echo, 'listening')
    wire = await Wire.to(`127.0.0.1:${(echo.address() as AddressInfo).port}`)
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await wire.close()
    echo.close()
  })

  /** A client of the server, and what it has got back. */
  function client() {
    const socket = socketTo(wire.port, '127.0.0.1')
    socket.on('error', () => {})
    sockets.push(socket)
    const got = { text: '' }
    socket.on('data', (data) => {
      got.text += data
    })
    return { socket, got }
  }

  it('passes everything on', async () => {
    const { socket, got } = client()
    socket.write('hello')
    await waitFor(() => got.text === 'hello', { what: 'the echo' })
    socket.end()
    await once(socket, 'close')
  })

  it('lets nothing through while it is cut, closes nothing, and delivers once it is healed', async () => {
    const before = client()
    before.socket.write('a')
    await waitFor(() => before.got.text === 'a', { what: 'the echo' })
    wire.cut()
    before.socket.write('b')
    const late = client()
    late.socket.write('c')
    await sleep(100)
    expect([before.got.text, late.got.text]).toEqual(['a', ''])
    expect([before.socket.destroyed, late.socket.destroyed, late.socket.connecting]).toEqual([false, false, false])
    wire.heal()
    await waitFor(() => before.got.text === 'ab' && late.got.text === 'c', { what: 'what was held up' })
  })

  it('leads new connections to another server, and keeps those that there are', async () => {
    const other = createServer((socket) => void socket.on('error', () => {}).end('other')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    try {
      const before = client()
      before.socket.write('a')
      await waitFor(() => before.got.text === 'a', { what: 'the echo' })
      wire.lead(`127.0.0.1:${(other.address() as AddressInfo).port}`)
      const after = client()
      await waitFor(() => after.got.text === 'other', { what: 'the other server' })
      before.socket.write('b')
      await waitFor(() => before.got.text === 'ab', { what: 'the echo' })
    } finally {
      other.close()
    }
  })

  it('breaks connections, and takes new ones', async () => {
    const { socket, got } = client()
    socket.write('a')
    await waitFor(() => got.text === 'a', { what: 'the echo' })
    wire.reset()
    await waitFor(() => socket.destroyed, { what: 'the end of the connection' })
    const next = client()
    next.socket.write('b')
    await waitFor(() => next.got.text === 'b', { what: 'the echo' })
  })

  it('is slow when told to', async () => {
    const { socket, got } = client()
    wire.slow({ latencyMs: 50, bytesPerSecond: 10_000 })
    const before = performance.now()
    socket.write('x'.repeat(1_000))
    await waitFor(() => got.text.length === 1_000, { what: 'the echo' })
    // There and back: twice the latency, and 100 ms for 1,000 bytes.
    expect(performance.now() - before).toBeGreaterThanOrEqual(290)
  })
})
