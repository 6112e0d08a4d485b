import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesOf, isWellFormed, textOf, utf8Of } from '../../src/ports/text.js'
import { json, text } from '../../src/reading/value.js'

/** Bytes around the edges of UTF-8, in any mixture. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 4 }).map((some) => Buffer.from(some)),
      fc.string({ unit: 'binary', maxLength: 4 }).map((some) => Buffer.from(some)),
      fc
        .constantFrom('80', 'bf', 'c080', 'c3', 'c3a9', 'e28', 'e282ac', 'eda080', 'edb280', 'efbfbd', 'f09f9880', 'f8')
        .map(hex),
    ),
  )
  .map((parts) => Buffer.concat(parts))

function hex(digits: string): Buffer {
  return Buffer.from(digits, 'hex')
}

describe('bytes as text', () => {
  it('are what UTF-8 says where they are UTF-8', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (some) => {
        const encoded = Buffer.from(some)
        expect(textOf(encoded)).toBe(some)
        expect(utf8Of(encoded)).toBe(some)
        expect(isWellFormed(some)).toBe(true)
      }),
    ))

  it('are found again by their text', () =>
    fc.assert(
      fc.property(bytes, (some) => {
        expect(bytesOf(textOf(some))).toEqual(some)
      }),
      { numRuns: 2_000 },
    ))

  it('are different texts where they are different', () =>
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        expect(textOf(one) === textOf(other)).toBe(one.equals(other))
      }),
      { numRuns: 2_000 },
    ))

  it('are text that UTF-8 can say exactly where they are UTF-8', () =>
    fc.assert(
      fc.property(bytes, (some) => {
        expect(isWellFormed(textOf(some))).toBe(isUtf8(some))
      }),
    ))

  it('are 256 texts where they are 256 numbers of Java', () => {
    const numbers = Array.from({ length: 256 }, (_, number) => {
      const long = Buffer.alloc(8)
      long.writeBigInt64BE(BigInt(number))
      return textOf(long)
    })
    expect(new Set(numbers).size).toBe(256)
  })
})

describe.each([
  ['json()', json()],
  ['text()', text()],
])('%s', (_, codec) => {
  const info = { group: 'g', stream: 's', partition: 0, offset: 0n }

  it.each([
    ['Latin-1', Buffer.from('{"name":"Jos\xe9"}', 'latin1')],
    ['UTF-16', Buffer.from('{"name":"José"}', 'utf16le')],
    ['a character that is cut', Buffer.from('{"name":"José').subarray(0, -1)],
  ])('refuses %s', (__, wrong) => {
    const inside = Buffer.concat([Buffer.from('{}'), wrong, Buffer.from('{}')])
    expect(() => codec.decode(wrong, info)).toThrow()
    expect(() => codec.decodePart!(inside, 2, inside.length - 2, info)).toThrow()
  })

  it('takes the replacement character where it is in the text', () => {
    const whole = Buffer.from('"\ufffd"')
    expect(String(codec.decode(whole, info))).toContain('\ufffd')
    expect(codec.decodePart!(Buffer.concat([hex('ff'), whole]), 1, whole.length + 1, info)).toEqual(
      codec.decode(whole, info),
    )
  })
})
