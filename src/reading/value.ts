import { z } from 'zod'
import { TidemarkError, UserFailure } from '../model/errors.js'
import { describePartition, type PartitionKey } from '../model/partition.js'
import { NoUtf8, utf8Of } from '../ports/text.js'

/** Where a value stands, for decoders that need it. The object is reused: take from it what you keep. */
export interface ValueInfo extends PartitionKey {
  readonly offset: bigint
}

/** Turns what the log holds into what the handler gets. */
export interface ValueCodec<V> {
  /** For people and for the config's version: `json`. */
  readonly name: string
  /** @param raw bytes from a binary log, text from one that keeps text (a Postgres event stream) */
  decode(raw: Buffer | string, info: ValueInfo): V
  /** Does the same with a part of a buffer. Sources use it where it is there, to be spared a view for each message. */
  decodePart?(buffer: Buffer, start: number, end: number, info: ValueInfo): V
}

/** What a source's `value` option takes. A function gets the bytes. */
export type ValueOption<V> = ValueCodec<V> | ((bytes: Buffer, info: ValueInfo) => V)

/**
 * Values are JSON in UTF-8. The default. Other bytes make the message undecodable.
 *
 * @param parse checks or converts the document, for example `OrderSchema.parse`; what it throws makes the message undecodable
 */
export function json<V = unknown>(parse?: (document: unknown) => V): ValueCodec<V> {
  const read = (text: string) => {
    const document = parsed(text)
    return parse ? parse(document) : (document as V)
  }
  return {
    name: parse ? `json(${parse.name || 'parse'})` : 'json',
    decode: (raw) => read(typeof raw === 'string' ? raw : utf8Of(raw)),
    decodePart: (buffer, start, end) => read(utf8Of(buffer, start, end)),
  }
}

/** Values are text in UTF-8. Other bytes make the message undecodable. */
export function text(): ValueCodec<string> {
  return {
    name: 'text',
    decode: (raw) => (typeof raw === 'string' ? raw : utf8Of(raw)),
    decodePart: (buffer, start, end) => utf8Of(buffer, start, end),
  }
}

/** Values stay bytes. */
export function bytes(): ValueCodec<Buffer> {
  return { name: 'bytes', decode: (raw) => (typeof raw === 'string' ? Buffer.from(raw) : raw) }
}

/** Anything that may stand in a `value` option. */
export const valueOption = z.custom(
  (value) =>
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && 'decode' in value && typeof value.decode === 'function'),
  { error: 'must be json(), text(), bytes() or a function' },
)

export function codecOf<V>(option: ValueOption<V>): ValueCodec<V> {
  if (typeof option !== 'function') return option
  const decode = (raw: Buffer | string, info: ValueInfo) =>
    option(typeof raw === 'string' ? Buffer.from(raw) : raw, info)
  return { name: option.name || 'function', decode }
}

/**
 * Names a value that its codec can't read. JSON.parse's own text quotes the value, and goes no further; that of a user's decoder is the
 * user's.
 *
 * @param thrown by the codec
 */
export function undecodable(
  codec: ValueCodec<unknown>,
  raw: Buffer | string,
  info: ValueInfo,
  thrown: unknown,
): TidemarkError {
  const { offset, ...key } = info
  const own = thrown instanceof NoJson ? ': it is no JSON' : thrown instanceof NoUtf8 ? ': it is no UTF-8' : null
  const what = `${describePartition(key)} offset ${offset}: the value (${Buffer.byteLength(raw)} bytes) can't be decoded as ${codec.name}`
  const toDo = `Group ${key.group} stops in front of it, and nothing is skipped: correct the source's 'value' option and start again, or repair the data and resume`
  const place = { ...key, offset: String(offset) }
  return own === null
    ? new UserFailure('UNDECODABLE', { what, toDo, thrown, place })
    : new TidemarkError('UNDECODABLE', `${what}${own}. ${toDo}`, { place })
}

class NoJson extends SyntaxError {}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new NoJson('the value is no JSON')
  }
}
