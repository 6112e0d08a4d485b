import { inspect } from 'node:util'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { kafka } from '../../src/kafka/source/source.js'
import { UserFailure } from '../../src/model/errors.js'
import type { Source } from '../../src/ports/index.js'
import { undecodable } from '../../src/reading/decode-errors.js'
import { ReadMessage } from '../../src/reading/message.js'
import { bytes, codecOf, json, text, type ValueCodec, valueOption } from '../../src/reading/value.js'

const info = { group: 'billing', stream: 'orders', partition: 3, offset: 7n }

describe('a value codec', () => {
  it('json() reads documents from bytes and from text', () => {
    expect(json().decode(Buffer.from('{"ä":[1]}'), info)).toEqual({ ä: [1] })
    expect(json().decode('{"ä":[1]}', info)).toEqual({ ä: [1] })
  })

  it('json(parse) gives what the check makes of the document', () => {
    const upper = (document: unknown) => String(document).toUpperCase()
    expect(json(upper).decode('"a"', info)).toBe('A')
    expect(json(upper).name).toBe('json(upper)')
  })

  it('text() and bytes() leave values as they are', () => {
    expect(text().decode(Buffer.from('ä'), info)).toBe('ä')
    expect(bytes().decode('ä', info)).toEqual(Buffer.from('ä'))
    const raw = Buffer.from([0, 255])
    expect(bytes().decode(raw, info)).toBe(raw)
  })

  it('may be a function of the bytes and their place', () => {
    const codec = codecOf(function withPlace(raw: Buffer, { offset }: { offset: bigint }) {
      return `${raw.length}@${offset}`
    })
    expect(codec.name).toBe('withPlace')
    expect(codec.decode('ää', info)).toBe('4@7')
  })

  it('may be asynchronous, and its values are what its promises give', () => {
    const options = { brokers: ['127.0.0.1:9092'], topic: 'orders' }
    expectTypeOf(kafka({ ...options, value: async () => 1 })).toEqualTypeOf<Source<number>>()
    expectTypeOf(kafka({ ...options, value: () => 1 })).toEqualTypeOf<Source<number>>()
    expectTypeOf(kafka({ ...options, value: json(async () => 'a') })).toEqualTypeOf<Source<string>>()
    expectTypeOf(kafka({ ...options, value: json<Date>() })).toEqualTypeOf<Source<Date>>()
    const codec = { name: 'mine', decode: async (raw: Buffer | string) => raw.length }
    expectTypeOf(kafka({ ...options, value: codec })).toEqualTypeOf<Source<number>>()
  })

  it('without a name keeps its own this', () => {
    class Own {
      readonly #suffix = '!'
      decode(raw: Buffer | string) {
        return `${raw}${this.#suffix}`
      }
    }
    const codec = codecOf(new Own() as unknown as ValueCodec<string>)
    expect([codec.name, codec.decode('a', info)]).toEqual(['a decoder', 'a!'])
  })

  it('gives documents that have a then of their own, which is data', () =>
    expect(json().decode('{"then":1}', info)).toEqual(JSON.parse('{"then":1}')))

  it.each([[json()], [text()], [() => 1], [async () => 1]])('is taken as an option: %#', (option) =>
    expect(valueOption.safeParse(option).success).toBe(true),
  )
  it.each([['json'], [null], [{}], [{ decode: 1 }]])('is nothing else: %j', (option) =>
    expect(valueOption.safeParse(option).success).toBe(false),
  )
})

describe('an undecodable value', () => {
  const secret = '{"card":"4111-1111'
  const thrown = new Error(secret)
  const broken: ValueCodec<never> = {
    name: 'json',
    decode: () => {
      throw thrown
    },
  }

  it('is named by its place, with no piece of the payload', () => {
    const error = undecodable(broken, secret, info, thrown)
    expect(error.code).toBe('UNDECODABLE')
    expect(error.place).toEqual({ group: 'billing', stream: 'orders', partition: 3, offset: '7' })
    expect(error.message).toContain("orders[3] offset 7: the value (18 bytes) can't be decoded as json")
    for (const piece of ['4111', 'card', '{"']) expect(`${error.message}${error.stack}`).not.toContain(piece)
    expect(error.cause).toBeUndefined()
  })

  it('shows what a decoder of the user said only where that is decided, and never what JSON.parse says', () => {
    const users = undecodable(broken, secret, info, thrown)
    expect((users as UserFailure).describe('what is shown')).toContain(
      "can't be decoded as json: what is shown. Unless",
    )
    const refused = (codec: ValueCodec<unknown>, raw: Buffer | string) => {
      try {
        void codec.decode(raw, info)
      } catch (error) {
        return undecodable(codec, raw, info, error)
      }
    }
    const own = refused(json(), secret)
    expect(own).not.toBeInstanceOf(UserFailure)
    expect(own!.message).toContain("can't be decoded as json: it is no JSON. Unless")
    expect(refused(text(), Buffer.from([0xff]))!.message).toContain("can't be decoded as text: it is no UTF-8. Unless")
    const strict = json(() => {
      throw thrown
    })
    expect(refused(strict, secret)).not.toBeInstanceOf(UserFailure)
    expect(refused(strict, '{}')).toMatchObject({ thrown })
  })

  it('counts bytes, not characters', () => {
    expect(undecodable(broken, 'ää', info, thrown).message).toContain('(4 bytes)')
    expect(undecodable(broken, Buffer.from('ää'), info, thrown).message).toContain('(4 bytes)')
  })
})

describe('a message', () => {
  const headers = [
    ['trace', Buffer.from('1')],
    ['other', null],
    ['trace', Buffer.from('2')],
  ] as const
  const origin = { group: 'billing', stream: 'orders', partition: 3, replay: 2 }
  const message = new ReadMessage(origin, 7n, 1_000, Buffer.from('ké'), { a: 1 }, headers)

  it('has its key as text and bytes', () => {
    expect(message.key).toBe('ké')
    expect(new ReadMessage(origin, 7n, 0, null, null, []).key).toBeNull()
  })

  it('has a stable idempotency key', () => expect(message.idempotencyKey).toBe('billing/orders/3/7/2'))

  it('has headers in their order, the last of a name first asked', () => {
    expect(message.headers.size).toBe(3)
    expect(message.headers.get('trace')).toBe('2')
    expect(message.headers.getAll('trace')).toEqual(['1', '2'])
    expect(message.headers.getBytes('trace')).toEqual(Buffer.from('2'))
    expect(message.headers.get('other')).toBeNull()
    expect(message.headers.get('absent')).toBeUndefined()
    expect([...message.headers]).toEqual([
      ['trace', '1'],
      ['other', null],
      ['trace', '2'],
    ])
  })

  it('shows what it is to people who log it', () => {
    expect(inspect(message, { breakLength: Infinity })).toBe(
      "Message { stream: 'orders', partition: 3, offset: 7n, timestamp: 1000, key: 'ké', " +
        "headers: [ [ 'trace', '1' ], [ 'other', null ], [ 'trace', '2' ] ], value: { a: 1 } }",
    )
    expect(JSON.parse(JSON.stringify(message))).toEqual({
      stream: 'orders',
      partition: 3,
      offset: '7',
      timestamp: 1_000,
      key: 'ké',
      headers: [
        ['trace', '1'],
        ['other', null],
        ['trace', '2'],
      ],
      value: { a: 1 },
    })
  })

  it('tells an empty header from none', () => {
    const empty = new ReadMessage(origin, 7n, 0, null, null, [['e', Buffer.alloc(0)]])
    expect(empty.headers.get('e')).toBe('')
  })
})
