import { describe, expect, it } from 'vitest'
import { MessageDecoder } from '../../src/rabbitmq/source/message-decoder.js'
import { restoredMessage } from '../../src/rabbitmq/source/restored-message.js'
import type { StreamMessage } from '../../src/rabbitmq/source/stream-message.js'
import { rawOf } from '../../src/rabbitmq/source/stream-message.js'
import { chunkDecoder } from '../../src/reading/chunk-decoder.js'
import { decodingOf } from '../../src/reading/late-value.js'
import { bytes, json, text, type ValueOption } from '../../src/reading/value.js'

const origin = { group: 'billing', stream: 'orders', partition: 3, replay: 2 }
const keyHeader = 'properties.message-id'
const limits = { decodeConcurrency: 16, decodeTimeoutMs: 30_000 }

/** Reads a message out of a larger buffer. */
function read<V>(hex: string, value: ValueOption<V>) {
  const inner = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  const place = { offset: 7n, bytes: Buffer.concat([inner, inner]), start: inner.length, end: 2 * inner.length }
  const decoding = decodingOf(value, limits)
  return { decoding, made: new MessageDecoder(origin, chunkDecoder(decoding), keyHeader).decode(place, 1_000) }
}

/** Message id as binary ff00; an annotation x-a: null; application properties h: "1", h: null, o: binary ff. */
const described =
  '00 53 72 c1 07 02 a3 03 782d61 40 00 53 73 c0 05 01 a0 02 ff00 00 53 74 c1 11 06 a1 01 68 a1 01 31 a1 01 68 40 a1 01 6f a0 01 ff'
const around = {
  offset: 7n,
  timestamp: 1_000,
  key: Buffer.from('ff00', 'hex'),
  headers: [
    ['x-a', null],
    ['h', Buffer.from('1')],
    ['h', null],
    ['o', Buffer.from('ff', 'hex')],
    ['properties.message-id', Buffer.from('ff00', 'hex')],
  ],
}

describe('the raw message of a stream', () => {
  it.each([
    ['bytes', '00 53 75 a0 03 ff00fe', Buffer.from('ff00fe', 'hex')],
    ['bytes in two sections', '00 53 75 a0 01 61 00 53 75 a0 01 62', Buffer.from('ab')],
    ['no bytes', '00 53 75 a0 00', Buffer.alloc(0)],
    ['no section', '', Buffer.alloc(0)],
    ['text', '00 53 77 a1 02 c3a4', Buffer.from('ä')],
    ['a number', '00 53 77 71 00000005', Buffer.from('5')],
    ['null', '00 53 77 40', null],
  ])('has key, headers and a body of %s, and is the same message when it is restored', (_, body, value) => {
    const { made, decoding } = read(`${described} ${body}`, bytes())
    const message = made as StreamMessage<Buffer | null>
    const raw = rawOf(message)
    expect(raw).toEqual({ ...around, value })
    const chunk = restoredMessage(raw, origin, decoding, keyHeader)
    expect(JSON.stringify(chunk.messages)).toBe(JSON.stringify([message]))
    expect(chunk.messages[0]).toMatchObject({
      keyBytes: message.keyBytes,
      idempotencyKey: message.idempotencyKey,
      value: message.value,
    })
  })

  it('whose value can not be decoded has key and headers, too', () => {
    const { made } = read(`${described} 00 53 75 a0 01 7b`, json())
    expect(made).toMatchObject({
      error: { code: 'UNDECODABLE' },
      raw: { ...around, value: Buffer.from('{') },
      next: 8n,
      timestamp: 1_000,
    })
  })

  it('that is no AMQP is whole, and no value for a decoder when it is restored', () => {
    // As text that a publisher wrote without any sections.
    const { made, decoding } = read('7b7d', text())
    if (!('error' in made)) throw new Error('it was read')
    const raw = { offset: 7n, timestamp: 1_000, key: null, value: Buffer.from('{}'), headers: [], whole: true as const }
    expect(made).toMatchObject({ error: { code: 'UNDECODABLE' }, raw, next: 8n })
    const chunk = restoredMessage(made.raw!, origin, decoding, keyHeader)
    expect(chunk).toMatchObject({ from: 7n, next: 7n, messages: [], poison: { raw, next: 8n } })
    expect(chunk.poison!.error.message).toBe(made.error.message)
  })

  it('that was whole and can be read by now has its key and headers', () => {
    const { decoding } = read('', json())
    const value = Buffer.from(`${described} 00 53 75 a0 01 35`.replaceAll(' ', ''), 'hex')
    const raw = { offset: 7n, timestamp: 1_000, key: null, value, headers: [], whole: true as const }
    const { messages, raw: again } = restoredMessage(raw, origin, decoding, keyHeader)
    expect(messages).toMatchObject([{ value: 5, keyBytes: around.key }])
    expect(again(messages[0]!)).toBe(raw)
  })
})
