/** What stands for broken UTF-8 in decoded text. Text may hold it by itself, too. */
const replacement = '\ufffd'
/** A byte that is no UTF-8 stands in text as the lone surrogate at this place plus the byte, which no UTF-8 decodes to. */
const escapes = 0xdc00

/**
 * Bytes as text. What is no UTF-8 in them stays as lone surrogates (U+DC80 to U+DCFF), as in Python's `surrogateescape`: different bytes
 * are different texts, whatever is decided by them.
 */
export function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return text.includes(replacement) && !isUtf8(bytes, text) ? escaped(bytes) : text
}

/** The bytes that `textOf` made this text of. */
export function bytesOf(text: string): Buffer {
  if (isWellFormed(text)) return Buffer.from(text)
  return Buffer.concat(
    [...text].map((one) => {
      const byte = one.codePointAt(0)! - escapes
      return byte >= 0x80 && byte <= 0xff ? Buffer.of(byte) : Buffer.from(one)
    }),
  )
}

export class NoUtf8 extends TypeError {}

/**
 * Bytes that have to be text.
 *
 * @throws NoUtf8 where they are none
 */
export function utf8Of(buffer: Buffer, start = 0, end = buffer.length): string {
  const text = buffer.toString('utf8', start, end)
  if (text.includes(replacement) && !isUtf8(buffer.subarray(start, end))) throw new NoUtf8('these bytes are no UTF-8')
  return text
}

/** False for text that UTF-8 can't say, as `textOf` makes it of bytes that are none. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

function escaped(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const end = at + lengthOf(bytes[at]!)
    if (end > at && end <= bytes.length && isUtf8(bytes.subarray(at, end))) {
      text += bytes.toString('utf8', at, end)
      at = end
    } else text += String.fromCharCode(escapes + bytes[at++]!)
  }
  return text
}

function isUtf8(bytes: Buffer, text = bytes.toString('utf8')): boolean {
  return Buffer.from(text).equals(bytes)
}

/** Bytes of the character that begins with this one; 0 where none does. */
function lengthOf(first: number): number {
  if (first < 0x80) return 1
  if (first < 0xc2 || first > 0xf4) return 0
  if (first < 0xe0) return 2
  return first < 0xf0 ? 3 : 4
}
