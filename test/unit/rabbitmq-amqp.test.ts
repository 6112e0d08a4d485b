import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AmqpReader, NotAmqp } from '../../src/rabbitmq/source/amqp.js'

const codes = [0x00, 0x40, 0x41, 0x44, 0x45, 0x50, 0x53, 0x56, 0x60, 0x70, 0x73, 0x80, 0x83, 0x94, 0x98, 0xff, 0x57]
const sized = (code: number, body: Buffer, ...count: number[]) =>
  Buffer.concat([Buffer.from([code, body.length + count.length, ...count]), body])

/** Values as AMQP writes them, most of them right. */
const { value } = fc.letrec<{ value: Buffer }>((tie) => {
  const some = fc.array(tie('value'), { maxLength: 4 })
  return {
    value: fc.oneof(
      { depthSize: 'small' },
      fc.tuple(fc.constantFrom(...codes), fc.uint8Array({ maxLength: 17 })).map(([code, bytes]) => {
        const width = { 4: 0, 5: 1, 6: 2, 7: 4, 8: 8, 9: 16 }[code >> 4] ?? bytes.length
        return Buffer.concat([Buffer.from([code]), Buffer.alloc(width, bytes.length > 0 ? bytes : 0)])
      }),
      fc
        .tuple(fc.constantFrom(0xa0, 0xa1, 0xa3), fc.uint8Array({ maxLength: 9 }))
        .map(([code, bytes]) => sized(code, Buffer.from(bytes))),
      some.map((values) => sized(0xc0, Buffer.concat(values), values.length)),
      some.map((values) => sized(0xc1, Buffer.concat(values), values.length)),
      some.map((values) => Buffer.concat([Buffer.from([0]), ...values])),
    ),
  }
})

function tried(bytes: Buffer, read: (reader: AmqpReader) => unknown): number | 'NotAmqp' {
  const reader = new AmqpReader(bytes, 0, bytes.length)
  try {
    read(reader)
    return reader.next?.at ?? bytes.length
  } catch (error) {
    expect(error).toBeInstanceOf(NotAmqp)
    return 'NotAmqp'
  }
}

test('going over a value ends where reading it ends, and fails where reading it fails', () => {
  const outcomes = { right: 0, wrong: 0 }
  const damaged = fc.tuple(value, fc.nat(), fc.nat(255), fc.boolean()).map(([bytes, at, byte, whole]) => {
    const copy = Buffer.from(bytes)
    if (!whole && copy.length > 0) copy[at % copy.length] = byte
    return copy
  })
  fc.assert(
    fc.property(damaged, (bytes) => {
      const read = tried(bytes, (reader) => reader.value())
      outcomes[read === 'NotAmqp' ? 'wrong' : 'right']++
      expect(tried(bytes, (reader) => reader.skip())).toBe(read)
    }),
    { numRuns: 3_000 },
  )
  // Neither was the rule, or nothing was compared.
  expect(Math.min(outcomes.right, outcomes.wrong)).toBeGreaterThan(300)
})

test('values nested beyond measure are gone over no more than they are read', () => {
  const deep = Buffer.alloc(100_000)
  expect(tried(deep, (reader) => reader.skip())).toBe('NotAmqp')
})

test('strings that are no UTF-8 stay the bytes that they are', () => {
  const read = (code: number, body: Buffer) => {
    const bytes = sized(code, body)
    return new AmqpReader(bytes, 0, bytes.length).value()
  }
  const latin1 = Buffer.from('Jos\xe9', 'latin1')
  expect(read(0xa1, latin1)).toEqual(latin1)
  expect(read(0xa1, Buffer.from('José'))).toBe('José')
  expect(read(0xa1, Buffer.from('\ufffd'))).toBe('\ufffd')
})
