import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { freePorts, isFree, onFreePorts, PortTaken, saysPortTaken } from '../../src/local/free-ports.js'

test('ports are different, free, and below the range of outgoing connections', async () => {
  const ports = await freePorts(5)
  expect(new Set(ports).size).toBe(5)
  for (const port of ports) {
    expect(port).toBeLessThan(32_768)
    expect(await isFree(port)).toBe(true)
  }
})

test('a port somebody listens on is not free', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  expect(await isFree(port)).toBe(false)
  await new Promise((resolve) => server.close(resolve))
  expect(await isFree(port)).toBe(true)
})

test('a port lost to somebody else is replaced by another', async () => {
  const offered: number[] = []
  const started = await onFreePorts(1, async ([port]) => {
    offered.push(port!)
    if (offered.length < 3) throw new PortTaken('taken')
    return port
  })
  expect(offered).toHaveLength(3)
  expect(started).toBe(offered[2])
})

test('any other failure is not tried again, and five lost ports are the end', async () => {
  let tries = 0
  const start = (error: Error) =>
    onFreePorts(1, async () => {
      tries++
      throw error
    })
  await expect(start(new Error('broken'))).rejects.toThrow('broken')
  expect(tries).toBe(1)
  await expect(start(new PortTaken('taken'))).rejects.toThrow('taken')
  expect(tries).toBe(6)
})

test.each([
  `can't set frontend port 20566: listen tcp 127.0.0.1:20566: bind: address already in use`,
  'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use',
  'org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:29419: Address already in use.',
])('a taken port is recognised in: %s', (line) => {
  expect(saysPortTaken(`something\n${line}\n`)).toBe(true)
})
