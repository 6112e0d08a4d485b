import { readFileSync } from 'node:fs'
import { crc32 } from '@node-rs/crc32'
import fc from 'fast-check'
import snappy from 'snappy'
import { describe, expect, test } from 'vitest'
import { NotAmqp } from '../../src/rabbitmq/source/amqp.js'
import { DamagedChunk, MessageCursor, memoryOf, PackedOtherwise, readChunk } from '../../src/rabbitmq/source/chunk.js'
import { decodeMessage } from '../../src/rabbitmq/source/message.js'

/** Chunks as RabbitMQ 4.0.5 sent them. */
const recorded = JSON.parse(readFileSync(new URL('./rabbitmq-chunks.json', import.meta.url), 'utf8')) as Readonly<
  Record<'plain' | 'packed' | 'gzip' | 'amqp091', string>
>

const bytesOf = (name: keyof typeof recorded) => Buffer.from(recorded[name], 'base64')

function messagesOf(bytes: Buffer, from?: bigint) {
  const cursor = new MessageCursor(readChunk(bytes), from)
  const found: { offset: bigint; body: string; headers: Record<string, string> }[] = []
  while (cursor.next()) {
    const { bytes: holder, start, end, offset } = cursor.message
    const { body, headers, ...at } = decodeMessage(holder, start, end)
    const text = String(body?.slice(at.start, at.end))
    found.push({ offset, body: text, headers: Object.fromEntries(headers.map(([name, value]) => [name, `${value}`])) })
  }
  return found
}

/** A chunk of our own making. */
function chunk(data: Buffer, { entries = 1, messages = 1 }: { entries?: number; messages?: number } = {}): Buffer {
  const header = Buffer.alloc(48)
  header[0] = 0x50
  header.writeUInt16BE(entries, 2)
  header.writeUInt32BE(messages, 4)
  header.writeBigInt64BE(1_700_000_000_000n, 8)
  header.writeBigUInt64BE(100n, 24)
  header.writeUInt32BE(crc32(data), 32)
  header.writeUInt32BE(data.length, 36)
  return Buffer.concat([header, data])
}

function packed(kind: number, messages: number, data: Buffer, unpacked = data.length): Buffer {
  const head = Buffer.alloc(11)
  head[0] = 0x80 | (kind << 4)
  head.writeUInt16BE(messages, 1)
  head.writeUInt32BE(unpacked, 3)
  head.writeUInt32BE(data.length, 7)
  return Buffer.concat([head, data])
}

/**
 * Five messages, the fourth of 20,002 bytes, as Java's libraries pack them that RabbitMQ's client uses: SnappyFramedOutputStream,
 * LZ4FrameOutputStream with BLOCK_INDEPENDENCE and CONTENT_SIZE, ZstdOutputStream.
 */
const java = JSON.parse(readFileSync(new URL('./rabbitmq-packed.json', import.meta.url), 'utf8'))
const names = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const javaPacked = (name: string) => packed(names.indexOf(name), 5, Buffer.from(java[name], 'base64'), java.unpacked)

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const decode = (text: string) => decodeMessage(hex(text), 0, hex(text).length)

describe('chunks', () => {
  test('plain messages, an empty one among them', () => {
    expect(messagesOf(bytesOf('plain'))).toEqual([
      {
        offset: 0n,
        body: '"a"',
        headers: { trace: 'abc', 'properties.message-id': 'id-1', 'properties.subject': 's' },
      },
      { offset: 1n, body: '', headers: {} },
      { offset: 2n, body: '"c"', headers: {} },
    ])
    expect(readChunk(bytesOf('plain'))).toMatchObject({ first: 0n, next: 3n, user: true, timestamp: 1_795_271_087_293 })
  })

  test.each(['packed', 'gzip'] as const)('%s messages, from any offset', (name) => {
    for (const from of [0, 1, 2])
      expect(messagesOf(bytesOf(name), BigInt(from)).map(({ offset, body }) => [offset, body])).toEqual(
        [0, 1, 2].slice(from).map((n) => [BigInt(n), `m${n}`]),
      )
  })

  test('messages of AMQP 0.9.1 with headers of many types', () => {
    const [message] = messagesOf(bytesOf('amqp091'))
    expect(message).toMatchObject({ offset: 0n, body: 'first' })
    expect(message!.headers).toMatchObject({ int: '7', negative: '-5', big: '5000000000', float: '1.5', yes: 'true' })
  })

  test('every damaged byte of the entries is noticed, and names the chunk', () => {
    const good = bytesOf('plain')
    for (let at = 48; at < good.length; at++) {
      const bad = Buffer.from(good)
      bad[at]! ^= 0x10
      expect(() => readChunk(bad)).toThrow(DamagedChunk)
    }
    for (let length = 0; length < good.length; length++)
      expect(() => readChunk(good.subarray(0, length))).toThrow(DamagedChunk)
  })

  test('entries that are not what they say are damage at an offset', () => {
    const cases: [Buffer, bigint][] = [
      [chunk(hex('00000009 00')), 100n],
      [chunk(hex('00000000'), { entries: 2, messages: 2 }), 101n],
      [chunk(hex('00000000'), { entries: 1, messages: 2 }), 101n],
      [chunk(hex('00000000 00000000'), { entries: 2, messages: 1 }), 101n],
      [chunk(packed(1, 3, Buffer.from('no gzip')), { messages: 3 }), 100n],
      [chunk(packed(0, 3, hex('00000000')), { messages: 3 }), 101n],
      [chunk(packed(0, 1, hex('00000000')).subarray(0, 9)), 100n],
    ]
    for (const [bytes, offset] of cases) {
      const cursor = new MessageCursor(readChunk(bytes))
      const walk = () => {
        while (cursor.next());
      }
      expect(walk).toThrow(expect.objectContaining({ name: 'DamagedChunk', offset }))
    }
  })

  test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('%s as the Java client packs it, from any offset', (name) => {
    const bytes = chunk(javaPacked(name), { messages: 5 })
    for (const from of [100, 102, 104])
      expect(messagesOf(bytes, BigInt(from)).map(({ offset, body }) => [Number(offset), body.slice(0, 2)])).toEqual(
        [100, 101, 102, 103, 104].slice(from - 100).map((offset) => [offset, `m${offset - 100}`]),
      )
    expect(messagesOf(bytes)[3]!.body).toBe(`m3${'hello '.repeat(3_334).slice(0, 20_000)}`)
  })

  test.each([
    ['one bare block', snappy.compressSync(Buffer.from('00000000', 'hex'))],
    ['bytes as they are in a frame', hex('ff060000734e61507059 01080000 00000000 00000000')],
  ])('snappy as %s', (_, data) => {
    expect(messagesOf(chunk(packed(2, 1, data, 4)))).toEqual([{ offset: 100n, body: '', headers: {} }])
  })

  test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('damaged %s is named, and so is more than it says', (name) => {
    const { length } = javaPacked(name)
    for (let at = 11; at < length; at += 1 + (length >> 6)) {
      const bad = Buffer.from(javaPacked(name))
      bad[at]! ^= 0x55
      try {
        messagesOf(chunk(bad, { messages: 5 }))
      } catch (error) {
        // A checksum inside may have been what was hit.
        expect(error instanceof DamagedChunk || error instanceof NotAmqp).toBe(true)
      }
    }
    const bomb = packed(names.indexOf(name), 5, javaPacked(name).subarray(11), 20_057)
    expect(() => messagesOf(chunk(bomb, { messages: 5 }))).toThrow(DamagedChunk)
  })

  test('compressions of the future are named, message by message, and what is behind them can be read', () => {
    const bytes = chunk(Buffer.concat([packed(5, 3, hex('0102')), hex('00000000')]), { entries: 2, messages: 4 })
    for (const from of [100n, 101n, 102n])
      expect(() => new MessageCursor(readChunk(bytes), from).next()).toThrow(
        expect.objectContaining({
          name: 'PackedOtherwise',
          offset: from,
          next: 103n,
          message: expect.stringContaining('5'),
        }),
      )
    const behind = new MessageCursor(readChunk(bytes), 103n)
    expect(behind.next() && behind.message.offset).toBe(103n)
  })

  test('a packed batch that is damaged is named with the offset behind it, from which on the chunk can be read', () => {
    const damaged = packed(names.indexOf('gzip'), 3, hex('0102'))
    const bytes = chunk(Buffer.concat([damaged, hex('00000000')]), { entries: 2, messages: 4 })
    expect(() => new MessageCursor(readChunk(bytes)).next()).toThrow(
      expect.objectContaining({ name: 'DamagedChunk', offset: 100n, next: 103n }),
    )
    const behind = new MessageCursor(readChunk(bytes), 103n)
    expect(behind.next() && behind.message.offset).toBe(103n)
  })

  test('memory counts what is packed as unpacked', () => {
    const bytes = chunk(packed(1, 1, hex('0102'), 1_000_000))
    expect(memoryOf(readChunk(bytes))).toBeGreaterThan(1_000_000)
  })

  test('any bytes with a right checksum are read or named as damaged', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(5), fc.nat(5), (data, entries, messages) => {
        const cursor = new MessageCursor(readChunk(chunk(Buffer.from(data), { entries, messages })))
        try {
          while (cursor.next());
        } catch (error) {
          expect(error instanceof DamagedChunk || error instanceof PackedOtherwise).toBe(true)
        }
      }),
    )
  })
})

describe('messages', () => {
  test('bodies of every kind', () => {
    const body = (text: string) => {
      const { body, start, end } = decode(text)
      return body === null ? null : body.slice(start, end).toString()
    }
    expect(body('00 53 75 a0 02 6869')).toBe('hi')
    expect(body('00 80 0000000000000075 b0 00000002 6869')).toBe('hi')
    expect(body('00 53 75 a0 01 68  00 53 75 a0 01 69')).toBe('hi')
    expect(body('00 53 77 a1 02 6869')).toBe('hi')
    expect(body('00 53 77 40')).toBeNull()
    expect(body('00 53 77 d1 00000009 00000002 a1 01 61 54 05')).toBe('{"a":5}')
    expect(body('00 53 76 c0 04 02 54 01 41')).toBe('[1,true]')
    expect(body('')).toBe('')
  })

  test('application properties of every type', () => {
    const value = (text: string) => {
      const entry = hex(`a1 01 6b ${text}`)
      const size = Buffer.from([0xc1, entry.length + 1, 2])
      const section = Buffer.concat([hex('00 53 74'), size, entry])
      return decodeMessage(section, 0, section.length).headers[0]![1]
    }
    const expected: [string, string | null][] = [
      ['40', null],
      ['41', 'true'],
      ['42', 'false'],
      ['56 01', 'true'],
      ['50 ff', '255'],
      ['51 ff', '-1'],
      ['60 ffff', '65535'],
      ['61 ffff', '-1'],
      ['70 ffffffff', '4294967295'],
      ['52 07', '7'],
      ['43', '0'],
      ['71 fffffffe', '-2'],
      ['54 fb', '-5'],
      ['80 ffffffffffffffff', '18446744073709551615'],
      ['53 09', '9'],
      ['44', '0'],
      ['81 ffffffffffffffff', '-1'],
      ['55 fe', '-2'],
      ['72 3fc00000', '1.5'],
      ['82 3ff8000000000000', '1.5'],
      ['82 7ff0000000000000', 'Infinity'],
      ['73 000000e9', 'é'],
      ['83 0000018bcfe56800', '2023-11-14T22:13:20.000Z'],
      ['98 00112233445566778899aabbccddeeff', '00112233-4455-6677-8899-aabbccddeeff'],
      ['a0 02 6869', 'hi'],
      ['a1 02 6869', 'hi'],
      ['b1 00000002 6869', 'hi'],
      ['a3 02 6869', 'hi'],
      ['45', '[]'],
      ['c0 03 01 54 05', '[5]'],
      ['c1 0b 02 a1 01 78 c1 05 02 a1 01 79 41', '{"x":{"y":true}}'],
      ['e0 04 02 50 01 02', '[1,2]'],
      ['00 a3 01 78 54 05', '5'],
    ]
    for (const [bytes, text] of expected) expect([bytes, value(bytes)?.toString() ?? null]).toEqual([bytes, text])
    expect(value('a0 02 ff00')).toEqual(hex('ff00'))
    expect(value('74 01020304')).toEqual(hex('01020304'))
  })

  test('properties that were passed over can be read afterwards, whatever is in them', () => {
    const of = (code: number, bytes: Uint8Array) => Buffer.concat([Buffer.from([code]), bytes])
    const sized = (code: number, count: number, bytes: Uint8Array) =>
      Buffer.concat([Buffer.from([code, bytes.length + 1, count]), bytes])
    const fixed = ([code, length]: [number, number]) =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => of(code, bytes))
    const codes: [number, number][] = [
      ...[0x40, 0x41, 0x42, 0x43, 0x44, 0x45].map((code): [number, number] => [code, 0]),
      ...[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56].map((code): [number, number] => [code, 1]),
      ...[0x60, 0x61].map((code): [number, number] => [code, 2]),
      ...[0x70, 0x71, 0x72, 0x73, 0x74].map((code): [number, number] => [code, 4]),
      ...[0x80, 0x81, 0x82, 0x83, 0x84].map((code): [number, number] => [code, 8]),
      ...[0x94, 0x98].map((code): [number, number] => [code, 16]),
    ]
    const bytes = fc.uint8Array({ maxLength: 6 })
    const { value } = fc.letrec<{ value: Buffer }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(...codes).chain(fixed),
        fc.tuple(fc.constantFrom(0xa0, 0xa1, 0xa3), bytes).map(([code, of]) => Buffer.from([code, of.length, ...of])),
        fc
          .tuple(fc.constantFrom(0xc0, 0xc1), fc.array(tie('value'), { maxLength: 4 }))
          .map(([code, all]) => sized(code, all.length, Buffer.concat(all))),
        fc
          .tuple(fc.constantFrom(0x50, 0x56), bytes)
          .map(([of, all]) => sized(0xe0, all.length, Buffer.from([of, ...all]))),
        fc.tuple(tie('value'), tie('value')).map((both) => Buffer.concat([Buffer.from([0]), ...both])),
      ),
    }))
    let read = 0
    fc.assert(
      fc.property(fc.constantFrom(0x72, 0x74), value, (kind, one) => {
        fc.pre(one.length < 200)
        const section = Buffer.concat([
          Buffer.from([0, 0x53, kind]),
          sized(0xc1, 2, Buffer.concat([hex('a1 03 782d61'), one])),
        ])
        let decoded: ReturnType<typeof decodeMessage>
        try {
          decoded = decodeMessage(section, 0, section.length)
        } catch (error) {
          expect(error).toBeInstanceOf(NotAmqp)
          return
        }
        expect(decoded.headers.map(([name]) => name)).toEqual(['x-a'])
        read++
      }),
      { numRuns: 2_000 },
    )
    expect(read).toBeGreaterThan(1_000)
  })

  test('what is no AMQP is named, whatever it is', () => {
    for (const text of ['01', '00 53', '00 53 99 40', '00 53 75 41', '00 53 75 a0 05 68', '00 53 74 41', '00 53 77 01'])
      expect(() => decode(text)).toThrow(NotAmqp)
    expect(() => decode(`00 53 77 ${'00 '.repeat(100_000)}`)).toThrow(NotAmqp)
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.constantFrom(0x70, 0x72, 0x73, 0x74, 0x76, 0x77),
        (data, kind) => {
          const bytes = Buffer.concat([Buffer.from([0, 0x53, kind]), data])
          let decoded: ReturnType<typeof decodeMessage> | undefined
          try {
            decoded = decodeMessage(bytes, 0, bytes.length)
          } catch (error) {
            expect(error).toBeInstanceOf(NotAmqp)
          }
          // They are made later, in the handler's hands.
          expect(() => decoded?.headers).not.toThrow()
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
