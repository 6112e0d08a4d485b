import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { text } from '../../src/entry/kafka.js'
import { KafkaGround, readOptions } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'

/** Prints how long single messages take. Asserts only that they come: a busy machine is no mistake. */
describeWith(['kafka'], 'a single message', () => {
  let ground: KafkaGround

  beforeAll(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
  })
  afterAll(() => ground.close())

  it('wakes up an idle partition, and comes to a reader at the tail', async () => {
    const topic = await ground.topic()
    const producer = await ground.producer()
    const client = await ground.connect({ topic, value: text() })
    const woken: number[] = []
    const read: number[] = []
    let position = 0n
    for (let i = 0; i < 20; i++) {
      const waiting = client.waitForData(0, position, AbortSignal.timeout(20_000))
      await sleep(20) // so that the wait is under way, as it is for an idle partition
      const started = performance.now()
      const sent = producer.send({ topic, messages: [{ value: `idle ${i}` }] })
      expect(await waiting).toBe(true)
      const reader = client.read(position, readOptions(topic))
      const first = await reader.next({ maxMessages: 10, waitMs: 20_000 })
      woken.push(performance.now() - started)
      const second = reader.next({ maxMessages: 10, waitMs: 20_000 })
      await sent
      await sleep(20) // as before: the fetch is under way
      const again = performance.now()
      const sentAgain = producer.send({ topic, messages: [{ value: `tail ${i}` }] })
      const tail = await second
      read.push(performance.now() - again)
      expect([first, tail].map((chunk) => chunk!.messages[0]!.value)).toEqual([`idle ${i}`, `tail ${i}`])
      position = tail!.next
      await sentAgain
      await reader.close()
    }
    console.log(`from send: woken and read ${median(woken)} ms, read at the tail ${median(read)} ms (medians)`)
  })
})

function median(numbers: number[]): string {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1]!.toFixed(1)
}
