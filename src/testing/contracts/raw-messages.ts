import { Undecodable } from '../../model/undecodable.js'
import type { Chunk, Message, RawMessage, Reader, ReadOptions, Source, SourceClient } from '../../ports/index.js'
import { bytes, json } from '../../reading/value.js'
import { nextChunk } from './chunks.js'
import type { hooksOf } from './framework.js'
import type { HarnessContent, HarnessMessage, HarnessStream, SourceTraits } from './source-harness.js'

type Hooks = Pick<ReturnType<typeof hooksOf>, 'describe' | 'it' | 'expect'>

/** What the suite of sources lends. */
interface Ground {
  stream(): Promise<HarnessStream>
  connected<V>(source: Source<V>): Promise<SourceClient<V>>
  reading<V>(
    client: SourceClient<V>,
    there: HarnessStream,
    from: bigint,
    change?: Partial<ReadOptions>,
  ): { readonly reader: Reader<V> }
}

interface Read<V> {
  readonly message: Message<V>
  readonly raw: RawMessage
}

const replay = 3
const odd = Buffer.from([0xff, 0x00, 0xfe])
const plain: HarnessMessage = { key: Buffer.from('ké'), value: Buffer.from('"ä"'), headers: [] }
const header = (...values: (Buffer | null)[]) => ({
  ...plain,
  headers: values.map((value) => ['twice', value] as const),
})

const samples: readonly (readonly [HarnessMessage, HarnessContent?])[] = [
  [plain],
  [{ ...plain, key: null }],
  [{ ...plain, headers: [['trace', Buffer.from('ß')]] }],
  [{ ...plain, key: odd }, 'binary key'],
  [{ ...plain, value: null }, 'null value'],
  [{ ...plain, value: null, key: null }, 'null value'],
  [{ ...plain, value: Buffer.alloc(0) }, 'empty value'],
  [{ ...plain, value: odd }, 'binary value'],
  [{ ...plain, value: Buffer.alloc(20_000, odd) }, 'binary value'],
  [header(Buffer.from('1'), Buffer.from('2')), 'repeated header'],
  [header(null), 'null header'],
  [header(odd), 'binary header'],
]

/** The part of the suite that is about messages as the log holds them, and about making messages of those again. */
export function verifyRawMessages({ describe, it, expect }: Hooks, traits: SourceTraits, ground: Ground): void {
  const { keys = true, headers = true, cannotHold = [] } = traits
  const held = samples.flatMap(([message, content]) => (content && cannotHold.includes(content) ? [] : [message]))

  describe('a raw message', () => {
    const originIn = ({ name }: HarnessStream) => ({ group: 'readers', stream: name, partition: 0, replay })

    async function reader<V>(there: HarnessStream, source: Source<V>) {
      const client = await ground.connected(source)
      return { client, ...ground.reading(client, there, await client.resolve(0, 'first'), { replay }) }
    }

    it('is what was written, and as what was read when it is restored', async () => {
      const there = await ground.stream()
      if (there.appendRaw) await there.appendRaw(0, held)
      else for (const { value } of held) await there.append(0, [String(value)], { key: 'ké', headers: { trace: 'ß' } })
      const { client, reader: from } = await reader(there, there.source<Buffer | null>(bytes()))
      const read = await readAll(from, held.length)
      for (const [index, { message, raw }] of read.entries()) {
        expect([raw.offset, raw.timestamp]).toEqual([message.offset, message.timestamp])
        expect([hexOf(raw.key), hexOf(raw.value)]).toEqual([hexOf(message.keyBytes), hexOf(message.value)])
        if (there.appendRaw) expect(shownRaw(raw, held[index]!)).toEqual(shownRaw(held[index]!))
        const chunk = client.restore(raw, originIn(there))
        expectOne(chunk, message)
        expect(shownRaw(chunk.raw(chunk.messages[0]!))).toEqual(shownRaw(raw))
      }
    })

    it('has key and headers, and its decoded value comes back', async () => {
      const there = await ground.stream()
      await there.append(0, [{ n: 1 }, { n: 2 }], { key: 'k', headers: { trace: 'abc' } })
      const { client, reader: from } = await reader(there, there.source<{ n: number }>())
      for (const { message, raw } of await readAll(from, 2)) {
        expect(JSON.parse(String(raw.value))).toEqual(message.value)
        if (keys) expect(String(raw.key)).toBe('k')
        if (headers) expect(raw.headers.filter(([name]) => name === 'trace')).toEqual([['trace', Buffer.from('abc')]])
        expectOne(client.restore(raw, originIn(there)), message)
      }
    })

    it('that can not be decoded is whole, and poison again when it is restored', async () => {
      const there = await ground.stream()
      await there.append(0, [{ bad: 1 }], { key: 'k', headers: { trace: 'abc' } })
      const refusing = json((document): unknown => {
        throw new Error(`bad: ${JSON.stringify(document)}`)
      })
      const { client, reader: from } = await reader(there, there.source(refusing))
      const { next, poison } = await nextChunk(from)
      const [only] = await readAll((await reader(there, there.source(bytes()))).reader, 1)
      expect(shownRaw(poison!.raw!)).toEqual(shownRaw(only!.raw))
      const restored = client.restore(poison!.raw!, originIn(there))
      expect(restored).toMatchObject({ from: next, next, messages: [], head: next + 1n })
      expect(restored.poison!.error).toMatchObject({ code: 'UNDECODABLE', message: poison!.error.message })
      expect(shownRaw(restored.poison!.raw!)).toEqual(shownRaw(poison!.raw!))
      expect([restored.poison!.next, restored.poison!.timestamp]).toEqual([next + 1n, poison!.timestamp])
    })

    it('is decoded by an asynchronous decoder once it is settled, or refused by it', async () => {
      const there = await ground.stream()
      await there.append(0, [{ n: 1 }, { n: 2 }], { key: 'k' })
      const decoder = json(async (document) => {
        const { n } = document as { n: number }
        if (n === 2) throw new Undecodable(`no ${n}`)
        return n
      })
      const { signal } = new AbortController()
      const { client, reader: from } = await reader(there, there.source(decoder))
      const raws = await readAll((await reader(there, there.source(bytes()))).reader, 2)
      const [good, bad] = raws.map(({ raw }) => client.restore(raw, originIn(there)))
      const read = await (await nextChunk(from, { maxMessages: 1 })).settle!(signal)
      expectOne((await good!.settle!(signal))!, read!.messages[0]!)
      const refused = await bad!.settle!(signal)
      expect(refused).toMatchObject({ messages: [], next: raws[1]!.raw.offset })
      expect(refused!.poison!.error.code).toBe('UNDECODABLE')
      expect(shownRaw(refused!.poison!.raw!)).toEqual(shownRaw(raws[1]!.raw))
    })

    function expectOne(chunk: Chunk, message: Message): void {
      const { offset } = message
      expect([chunk.from, chunk.next, chunk.head, chunk.poison]).toEqual([offset, offset + 1n, offset + 1n, undefined])
      expect(chunk.messages.map(shown)).toEqual([shown(message)])
    }
  })
}

/** All messages of a partition, a few at a time. */
async function readAll<V>(reader: Reader<V>, count: number): Promise<Read<V>[]> {
  const read: Read<V>[] = []
  while (read.length < count) {
    const chunk = await nextChunk(reader, { maxMessages: 5 })
    for (const message of chunk.messages) read.push({ message, raw: chunk.raw(message) })
    chunk.release()
  }
  return read
}

/** All that a handler sees of a message. */
function shown(message: Message) {
  const { stream, partition, offset, key, keyBytes, value, headers, timestamp, idempotencyKey } = message
  const bytesOf = [...headers].map(([name]) => hexOf(headers.getBytes(name) ?? null))
  const plain = { stream, partition, key, value, timestamp, idempotencyKey, headers: [...headers] }
  return JSON.stringify({ ...plain, offset: String(offset), keyBytes: hexOf(keyBytes), bytesOf })
}

/** @param like only headers of its names count: a log may add some of its own */
function shownRaw({ key, value, headers }: HarnessMessage, like?: HarnessMessage) {
  const names = like && new Set(like.headers.map(([name]) => name))
  const counted = headers.filter(([name]) => !names || names.has(name))
  return { key: hexOf(key), value: hexOf(value), headers: counted.map(([name, bytes]) => [name, hexOf(bytes)]) }
}

function hexOf(bytes: Buffer | null): string | null {
  return bytes?.toString('hex') ?? null
}
