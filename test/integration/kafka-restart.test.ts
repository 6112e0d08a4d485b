import { afterAll, beforeAll, expect, it } from 'vitest'
import { text } from '../../src/entry/kafka.js'
import { type Stack, startStack } from '../../src/local/stack.js'
import { KafkaGround, readOptions } from '../support/kafka-ground.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'a broker that goes away', () => {
  let stack: Stack
  let ground: KafkaGround

  beforeAll(async () => {
    stack = await startStack({ kafka: { own: true } })
    ground = await KafkaGround.on(stack.kafka.brokers)
  })
  afterAll(async () => {
    await ground?.close()
    await stack?.stop()
  })

  it('and comes back loses and repeats nothing for a reader, and wakes up whoever waits', async () => {
    const [topic, idle] = [await ground.topic(), await ground.topic()]
    const producer = await ground.producer()
    const write = async (to: string, from: number, count: number) =>
      producer.send({ topic: to, messages: Array.from({ length: count }, (_, i) => ({ value: `${from + i}` })) })
    await write(topic, 0, 1_000)

    const client = await ground.connect({ topic, value: text() })
    const other = await ground.connect({ topic: idle, value: text() })
    const waiting = other.waitForData(0, 0n, AbortSignal.timeout(120_000))
    const reader = client.read(0n, readOptions(topic, { fetchBytes: 2_000 }))
    const seen: (string | null)[] = []
    const read = async (until: number) => {
      while (seen.length < until) {
        const chunk = await reader.next({ maxMessages: 50, waitMs: 1_000 })
        seen.push(...(chunk?.messages ?? []).map(({ value }) => value))
        chunk?.release()
      }
    }
    await read(400)
    const restarting = stack.kafka.restart()
    const reading = read(1_500)
    await restarting
    await waitFor(() => write(topic, 1_000, 500), { what: 'the broker to take messages', timeout: 60_000 })
    await reading
    expect(seen).toEqual(Array.from({ length: 1_500 }, (_, i) => `${i}`))
    await write(idle, 0, 1)
    expect(await waiting).toBe(true)
    const told = ground.log.lines.filter(({ level }) => level !== 'debug').map(({ message }) => message)
    expect(told).toContain('waiting for messages is interrupted; trying again')
    expect(told).toContain('waiting for messages goes on')
    expect(told.filter((line) => line.includes('interrupted')).length).toBeLessThan(6)
    await reader.close()
  })

  it('for good lets a reader, a waiter and the client end at once, and leaves no socket and no timer', async () => {
    const topic = await ground.topic()
    const before = resources()
    const client = await ground.connect({ topic, value: text() })
    const reader = client.read(0n, readOptions(topic))
    const next = reader.next({ maxMessages: 10, waitMs: 600_000 })
    const waiting = client.waitForData(0, 0n, AbortSignal.timeout(600_000))
    await waitFor(() => resources().sockets >= before.sockets + 2, { what: 'both to have connected' })
    await stack.kafka.pause()
    try {
      const started = performance.now()
      await client.close()
      expect(await next).toBeNull()
      expect(await waiting).toBe(false)
      expect(performance.now() - started).toBeLessThan(1_500)
      await waitFor(() => resources().sockets === before.sockets, { what: 'the sockets to be gone', timeout: 3_000 })
      expect(resources().timers).toBeLessThanOrEqual(before.timers + 1) // AbortSignal.timeout's own
    } finally {
      await stack.kafka.resume()
    }
  })
})

function resources(): { sockets: number; timers: number } {
  const all = process.getActiveResourcesInfo()
  const count = (name: string) => all.filter((other) => other === name).length
  return { sockets: count('TCPSocketWrap'), timers: count('Timeout') }
}
