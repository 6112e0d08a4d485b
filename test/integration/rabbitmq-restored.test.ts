import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rabbitmq, text } from '../../src/entry/rabbitmq.js'
import { type LocalRabbitmq, startRabbitmq } from '../../src/local/rabbitmq.js'
import { rabbitmqProgram } from '../../src/local/rabbitmq-program.js'
import type { SourceClient } from '../../src/ports/index.js'
import { describeWith } from '../support/parts.js'
import { publish, RabbitmqGround } from '../support/rabbitmq-ground.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['rabbitmq'], 'a RabbitMQ broker whose disk was restored', () => {
  let broker: LocalRabbitmq
  let ground: RabbitmqGround
  let stream: string

  beforeAll(async () => {
    broker = await startRabbitmq(await rabbitmqProgram())
    ground = await RabbitmqGround.on(broker.url)
    stream = await ground.stream()
  })
  afterAll(async () => {
    await ground?.close()
    await broker?.server.close()
  })

  const named = (name: string, from: number, count: number) =>
    Array.from({ length: count }, (_, index) => `${name} ${from + index}`)
  const write = (name: string, from: number, count: number) => {
    const messages = named(name, from, count).map((content) => ({ content: Buffer.from(content) }))
    return publish(ground.client, stream, messages)
  }
  const at = (name: string) => join(broker.server.folder, name)

  async function stop(): Promise<void> {
    await ground.close()
    await broker.server.stop()
  }

  async function startAgain(head: bigint): Promise<void> {
    await broker.server.restart()
    ground = await RabbitmqGround.on(broker.url)
    // A stream needs a moment after its broker.
    const there = async () => (await (await connect()).bounds([0])).get(0)!.head === head
    await waitFor(there, { what: `the stream to be back with head ${head}`, timeout: 60_000 })
  }

  function connect(): Promise<SourceClient<string>> {
    // So that no notes take offsets.
    return ground.connect(rabbitmq({ url: broker.url, stream, value: text(), groupOffsets: false }))
  }

  /** Reads on from a position, and returns the messages and the last chunk's witness. */
  async function read(from: number, count: number, witness: string | null = null) {
    const values: string[] = []
    const reader = ground.read(await connect(), stream, BigInt(from), { witness })
    for (;;) {
      const chunk = await reader.next({ maxMessages: count - values.length, waitMs: 30_000 })
      if (!chunk) throw new Error(`nothing came after ${values.length} messages`)
      values.push(...chunk.messages.map(({ value }) => value))
      chunk.release()
      if (values.length === count) return { values, witness: chunk.witness! }
    }
  }

  test('is read by nobody who has handled messages that are others now, but by those who stand before them', async () => {
    await write('both', 0, 10)
    const before = await read(0, 10)
    const identity = await (await connect()).identity(0)
    await stop()
    await cp(at('db'), at('snapshot'), { recursive: true })

    await startAgain(10n)
    await write('lost', 10, 10)
    // A clean restart changes nothing of what was handled.
    const lost = await read(10, 10, before.witness)
    expect(lost.values).toEqual(named('lost', 10, 10))
    await stop()
    await rm(at('db'), { recursive: true })
    await cp(at('snapshot'), at('db'), { recursive: true })

    await startAgain(10n)
    await write('other', 10, 20)
    // Nothing else tells: it is the same stream, and as long as it was.
    expect(await (await connect()).identity(0)).toBe(identity)
    expect((await read(20, 10)).values).toEqual(named('other', 20, 10))
    await expect(read(20, 10, lost.witness)).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      message: expect.stringContaining('the log was cut somewhere before position 20'),
      place: { group: 'g', stream, partition: 0, offset: '20' },
    })
    expect((await read(10, 20, before.witness)).values).toEqual(named('other', 10, 20))
  })
})
