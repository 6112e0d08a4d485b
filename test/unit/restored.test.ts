import { describe, expect, it } from 'vitest'
import type { RawMessage } from '../../src/ports/index.js'
import { decodingOf } from '../../src/reading/late-value.js'
import { restored } from '../../src/reading/restored.js'
import { json, type ValueCodec, type ValueOption } from '../../src/reading/value.js'

const origin = { group: 'billing', stream: 'orders', partition: 3, replay: 2 }
const raw: RawMessage = {
  offset: 7n,
  timestamp: 1_000,
  key: Buffer.from([0xff]),
  value: Buffer.from('{"a":1}'),
  headers: [
    ['twice', Buffer.from('1')],
    ['twice', null],
  ],
}
const decoding = <V>(value?: ValueOption<V>) => decodingOf(value, { decodeConcurrency: 16, decodeTimeoutMs: 30_000 })

describe('a restored message', () => {
  it('is the message that was read, of the replay that it is handled in', () => {
    const { messages, ...chunk } = restored(raw, origin, decoding())
    expect(chunk).toMatchObject({ from: 7n, next: 8n, head: 8n })
    expect([chunk.poison, chunk.settle]).toEqual([undefined, undefined])
    const [message] = messages
    expect(JSON.parse(JSON.stringify(message))).toEqual({
      stream: 'orders',
      partition: 3,
      offset: '7',
      timestamp: 1_000,
      key: '\udcff',
      headers: [
        ['twice', '1'],
        ['twice', null],
      ],
      value: { a: 1 },
    })
    expect([message!.keyBytes, message!.idempotencyKey]).toEqual([raw.key, 'billing/orders/3/7/2'])
  })

  it('without a value is a tombstone, which no decoder sees', () => {
    const refusing = () => {
      throw new Error('was asked')
    }
    expect(restored({ ...raw, value: null }, origin, decoding(refusing)).messages).toMatchObject([{ value: null }])
  })

  it('that can not be decoded is poison at its own offset, and names the place', () => {
    const chunk = restored({ ...raw, value: Buffer.from('{') }, origin, decoding())
    expect(chunk).toMatchObject({ from: 7n, next: 7n, messages: [], poison: { next: 8n, timestamp: 1_000 } })
    expect(chunk.poison!.error.place).toEqual({ group: 'billing', stream: 'orders', partition: 3, offset: '7' })
    expect(chunk.poison!.raw).toMatchObject({ key: raw.key, headers: raw.headers, value: Buffer.from('{') })
  })

  it('comes to the decoder as its reader gives it: text, a part of a buffer, or bytes', () => {
    const calls: unknown[] = []
    const noting = (parts: boolean): ValueCodec<null> => ({
      name: 'noting',
      decode: (value) => {
        calls.push(value)
        return null
      },
      ...(parts && {
        decodePart: (buffer: Buffer, start: number, end: number) => {
          calls.push([String(buffer), start, end])
          return null
        },
      }),
    })
    restored(raw, origin, decoding(noting(true)), 'text')
    restored(raw, origin, decoding(noting(true)))
    restored(raw, origin, decoding(noting(false)))
    expect(calls).toEqual(['{"a":1}', ['{"a":1}', 0, 7], raw.value])
  })

  it('whose value a person has replaced by bytes that are no UTF-8 is poison in a log of text', () => {
    const { poison } = restored({ ...raw, value: Buffer.from([0xff]) }, origin, decoding(json()), 'text')
    expect(poison!.error.message).toContain('it is no UTF-8')
  })

  it('waits for its asynchronous decoder', async () => {
    const chunk = restored(
      raw,
      origin,
      decoding(async (bytes) => String(bytes).length),
    )
    const settled = await chunk.settle!(new AbortController().signal)
    expect(settled!.messages).toMatchObject([{ value: 7 }])
    expect(settled!.raw(settled!.messages[0]!)).toBe(raw)
  })
})
