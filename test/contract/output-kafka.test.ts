import net from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { bytes, kafkaOutput, text } from '../../src/entry/kafka.js'
import type { KafkaOutputOptions } from '../../src/kafka/output/options.js'
import { isTidemarkError } from '../../src/model/errors.js'
import type { OutputClient, OutputRecord } from '../../src/ports/index.js'
import { claimFrom } from '../support/claim.js'
import { javaReads, KafkaGround } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { readAll } from '../support/read-all.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['kafka'], 'a Kafka output', () => {
  let ground: KafkaGround
  const open: OutputClient[] = []

  beforeEach(async () => {
    ground = await KafkaGround.on(part('kafka').brokers)
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()))
    await ground.close()
  })

  async function connect(change: Partial<KafkaOutputOptions> = {}): Promise<OutputClient> {
    const client = await kafkaOutput({ brokers: part('kafka').brokers, ...change }).connect({
      log: silentLog(),
      signal: new AbortController().signal,
    })
    open.push(client)
    return client
  }
  /** The same while connections break: it tries once, and whoever asks tries again. */
  const connected = (change?: Partial<KafkaOutputOptions>) => waitFor(() => connect(change), { what: 'a connection' })
  const record = (topic: string, value: string | null, more: Partial<OutputRecord> = {}): OutputRecord => ({
    topic,
    key: null,
    value: value === null ? null : Buffer.from(value),
    headers: [],
    ...more,
  })
  const valuesOf = async (topic: string) =>
    (await readAll(await ground.connect({ topic, value: text() }), topic)).map(({ value }) => value)

  it.each(['none', 'gzip'] as const)(
    'writes keys, values, headers and tombstones that the Java client reads, compression %s',
    async (compression) => {
      const topic = await ground.topic()
      const output = await connect({ compression })
      const long = 'wörter '.repeat(5_000)
      await output.send([
        record(topic, 'one', { key: Buffer.from('k1') }),
        record(topic, null, { key: Buffer.from('k2') }),
        record(topic, long, {
          headers: [
            ['a', Buffer.from('1')],
            ['a', null],
            ['ü', Buffer.alloc(0)],
          ],
        }),
      ])
      const { home, brokers } = part('kafka')
      expect(await javaReads(home, brokers[0]!, topic, 'read_committed')).toEqual([
        'Offset:0\tk1\tone',
        'Offset:1\tk2\tnull',
        `Offset:2\tnull\t${long}`,
      ])
      const [, , third] = await readAll(await ground.connect({ topic, value: bytes() }), topic)
      expect([...third!.headers]).toEqual([
        ['a', '1'],
        ['a', null],
        ['ü', ''],
      ])
    },
  )

  it('places keys where the Java client and kafkajs place them', async () => {
    const [mine, theirs] = [await ground.topic({}, 7), await ground.topic({}, 7)]
    const keys = Array.from({ length: 200 }, (_, i) => `key-${i}-ä`)
    await (await connect()).send(keys.map((key) => record(mine, key, { key: Buffer.from(key) })))
    const producer = await ground.producer()
    await producer.send({ topic: theirs, messages: keys.map((key) => ({ key, value: key })) })
    // kafkajs's producer may write a message twice where a topic's leaders are new, to the same place both times.
    const placed = async (topic: string) => {
      const found = await readAll(await ground.connect({ topic, value: text() }), topic)
      return [...new Set(found.map(({ partition, value }) => `${partition} ${value}`))].sort()
    }
    expect(await placed(mine)).toEqual(await placed(theirs))
  })

  it('keeps the order of one call, and of calls one after the other, through many batches', async () => {
    const topic = await ground.topic({}, 2)
    const output = await connect()
    const count = 30_000
    const values = Array.from({ length: count }, (_, i) => `${String(i).padStart(6, '0')}${'x'.repeat(100)}`)
    const records = values.map((value, i) => record(topic, value, { partition: i % 2 }))
    await Promise.all(
      [0, 1, 2].map((third) => output.send(records.slice((third * count) / 3, ((third + 1) * count) / 3))),
    )
    const written = await readAll(await ground.connect({ topic, value: text() }), topic)
    for (const partition of [0, 1])
      expect(written.filter((one) => one.partition === partition).map(({ value }) => value)).toEqual(
        values.filter((_, i) => i % 2 === partition),
      )
  })

  it('says which topic can not take a message, shows nothing of it, and leaves other callers and later calls alone', async () => {
    const topic = await ground.topic()
    const small = await ground.topic({ 'max.message.bytes': '2000' })
    const output = await connect()
    const missing = unique('missing')
    const failures = await Promise.allSettled([
      output.send([record(small, 'SECRET'.repeat(1_000))]),
      output.send([record(missing, 'SECRET')]),
      output.send([record(topic, 'fine')]),
      output.send([record(topic, 'nowhere', { partition: 9 })]),
    ])
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'rejected'])
    const texts = failures.map((one) => (one.status === 'rejected' ? `${one.reason.code} ${one.reason.message}` : ''))
    expect(texts[0]).toContain(`OUTPUT_FAILED could not write to output topic '${small}', partition 0`)
    expect(texts[0]).toContain('max.message.bytes')
    expect(texts[1]).toContain(`OUTPUT_FAILED could not write to output topic '${missing}'`)
    expect(texts[3]).toContain('has no partition 9')
    expect(texts.join()).not.toContain('SECRET')
    await output.send([record(topic, 'later'), record(small, 'fits')])
    expect([await valuesOf(topic), await valuesOf(small)]).toEqual([['fine', 'later'], ['fits']])
  })

  /**
   * Breaks about every second connection to a broker, again and again, until `work` is done; returns how many it were.
   *
   * @param outageMs for so long in every 3 s none is left
   */
  async function breaking(work: () => Promise<void>, outageMs = 0): Promise<number> {
    const started = Date.now()
    const out = () => (Date.now() - started + outageMs + 300) % 3_000 < outageMs
    const ports = part('kafka').brokers.map((broker) => Number(broker.split(':').at(-1)))
    const sockets = new Set<net.Socket>()
    const connect = vi.spyOn(net, 'connect')
    connect.mockImplementation(((...args: Parameters<typeof net.createConnection>) => {
      const socket = net.createConnection(...args)
      sockets.add(socket)
      if (out()) setImmediate(() => socket.destroy(new Error('cut off')))
      return socket.once('close', () => sockets.delete(socket))
    }) as typeof net.connect)
    let broken = 0
    const breaker = setInterval(() => {
      const share = out() ? 1 : 0.5
      for (const socket of sockets)
        if (ports.includes(socket.remotePort ?? 0) && Math.random() < share) {
          socket.destroy(new Error('cut off'))
          broken++
        }
    }, 15)
    try {
      await work()
    } finally {
      clearInterval(breaker)
      connect.mockRestore()
    }
    return broken
  }

  it('writes once what it has to send again because connections break', async () => {
    const topic = await ground.topic({}, 2)
    const wanted = Array.from({ length: 20_000 }, (_, i) => `v${i}`)
    const broken = await breaking(async () => {
      const output = await connected()
      for (let from = 0; from < wanted.length; from += 200)
        await output.send(wanted.slice(from, from + 200).map((value) => record(topic, value)))
    })
    expect((await valuesOf(topic)).sort()).toEqual([...wanted].sort())
    expect(broken).toBeGreaterThan(3)
    console.log(`${broken} connections broken`)
  })

  it('commits each step once while connections break: whoever claims again knows how far the one before came', async () => {
    const [source, topic] = [await ground.topic(), await ground.topic({}, 2)]
    const place = key(source)
    const steps = 150
    let claims = 0
    const broken = await breaking(async () => {
      const { progress } = await connected({ deliveryTimeout: '1s' })
      for (let position = 0n; position < steps; ) {
        try {
          position = await claimFrom(progress!, place, token(++claims), start)
          for (; position < steps; position++)
            await progress!.transact(place, token(claims), position, position + 1n, (tx) =>
              tx.send!([0, 1].map((partition) => record(topic, `${position}.${partition}`, { partition }))),
            )
        } catch (error) {
          if (!isTidemarkError(error)) throw error
        }
      }
    }, 1_800)
    const wanted = Array.from({ length: steps }, (_, i) => [`${i}.0`, `${i}.1`]).flat()
    expect((await valuesOf(topic)).sort()).toEqual(wanted.sort())
    expect(claims).toBeGreaterThan(1)
    console.log(`${broken} connections broken, ${claims} claims`)
  })

  it('can not be reached, and says so', async () => {
    await expect(connect({ brokers: ['127.0.0.1:1'] })).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  const key = (stream: string) => ({ group: unique('group'), stream, partition: 0 })
  const token = (epoch: number) => ({ epoch, batch: 1, attempt: 1 })
  const start = { from: 0n, replay: 0 }

  it('an owner in another process, frozen anywhere in its transaction, writes nothing once a newer one has claimed', async () => {
    for (const frozen of ['before writing', 'after writing', 'before the end'] as const) {
      const [source, topic] = [await ground.topic(), await ground.topic()]
      const place = key(source)
      const [old, young] = [(await connect()).progress!, (await connect()).progress!]
      await claimFrom(old, place, token(1), start)
      const zombie = old.transact(place, token(1), 0n, 5n, async (tx) => {
        if (frozen === 'before writing') await claimFrom(young, place, token(2), start)
        await tx.send!([record(topic, 'zombie')])
        if (frozen === 'after writing') await claimFrom(young, place, token(2), start)
        if (frozen === 'before the end') {
          await claimFrom(young, place, token(2), start)
          await young.transact(place, token(2), 0n, 3n, (other) => other.send!([record(topic, 'successor')]))
        }
      })
      await expect(zombie, frozen).rejects.toMatchObject({ code: 'FENCED' })
      expect(await young.read(place)).toMatchObject({
        token: token(2),
        position: frozen === 'before the end' ? 3n : 0n,
      })
      expect(await valuesOf(topic)).toEqual(frozen === 'before the end' ? ['successor'] : [])
    }
  })

  it('a claim goes on where its plan says when that is ahead: progress was kept elsewhere meanwhile', async () => {
    const place = key(await ground.topic())
    const progress = (await connect()).progress!
    await claimFrom(progress, place, token(1), start)
    expect(await claimFrom(progress, place, token(2), { from: 50n, replay: 0 })).toBe(50n)
    expect(await claimFrom(progress, place, token(3), { from: 20n, replay: 0 })).toBe(50n)
  })

  it('a late claim by an older owner does not disturb the newer one', async () => {
    const [source, topic] = [await ground.topic(), await ground.topic()]
    const place = key(source)
    const [old, young] = [(await connect()).progress!, (await connect()).progress!]
    await claimFrom(young, place, token(2), start)
    await young.transact(place, token(2), 0n, 1n, async (tx) => {
      await tx.send!([record(topic, 'a')])
      await expect(claimFrom(old, place, token(1), start)).rejects.toMatchObject({ code: 'FENCED' })
    })
    expect(await young.read(place)).toMatchObject({ position: 1n, token: token(2) })
  })

  it('of many processes that claim at once, the greatest token stays, and works', async () => {
    const place = key(await ground.topic())
    const topic = await ground.topic()
    const clients = await Promise.all(Array.from({ length: 6 }, () => connect()))
    const outcomes = await Promise.allSettled(
      clients.map((client, i) => claimFrom(client.progress!, place, token(((i * 5) % 6) + 1), start)),
    )
    for (const one of outcomes) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'FENCED' })
    const winner = clients[[0, 1, 2, 3, 4, 5].findIndex((i) => ((i * 5) % 6) + 1 === 6)]!
    const work = (attempt: number) =>
      winner.progress!.transact(place, { ...token(6), attempt }, 0n, 1n, (tx) => tx.send!([record(topic, 'once')]))
    await work(1).catch(async (error) => {
      // An older one that looked before and began after it has ended its producer: not the owner's end, but that of its try.
      expect(error).toMatchObject({ code: 'OUTPUT_FAILED', message: expect.stringContaining('another producer') })
      await claimFrom(winner.progress!, place, { ...token(6), attempt: 2 }, start)
      await work(2)
    })
    expect(await valuesOf(topic)).toEqual(['once'])
  })

  it('a claim finds what was committed a moment ago by another process, every time', async () => {
    const place = key(await ground.topic())
    const topic = await ground.topic({}, 8)
    const clients = [(await connect()).progress!, (await connect()).progress!]
    let at = 0n
    for (let round = 1; round <= 20; round++) {
      const progress = clients[round % 2]!
      // Markers have to reach every partition before the position can be read.
      expect(await claimFrom(progress, place, token(round), start)).toBe(at)
      const records = Array.from({ length: 8 }, (_, partition) => record(topic, `${round}`, { partition }))
      await progress.transact(place, token(round), at, at + 1n, (tx) => tx.send!(records))
      at += 1n
    }
    expect(await valuesOf(topic)).toHaveLength(160)
  })
})
