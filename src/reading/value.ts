import { z } from 'zod'
import { TidemarkError, UserFailure } from '../model/errors.js'
import { isThenable, problemOfSynchronous } from '../model/functions.js'
import { describePartition } from '../model/partition.js'
import { shown } from '../model/shown.js'
import type { ValueCodec, ValueInfo } from '../ports/index.js'
import { NoUtf8, utf8Of } from '../ports/text.js'

export type { ValueCodec, ValueInfo }

/** What a source's `value` option takes. A function gets the bytes. */
export type ValueOption<V> = ValueCodec<V> | ((bytes: Buffer, info: ValueInfo) => V)

const parseForms = 'must be a function of the document, for example OrderSchema.parse'

/**
 * Values are JSON in UTF-8. The default. Other bytes make the message undecodable.
 *
 * @param parse checks or converts the document, for example `OrderSchema.parse`; what it throws makes the message undecodable
 * @throws TidemarkError CONFIG_INVALID for what is no synchronous function
 */
export function json<V = unknown>(parse?: (document: unknown) => V): ValueCodec<V> {
  const problem = parse === undefined ? null : problemOfSynchronous(parse, parseForms)
  if (problem !== null) throw new TidemarkError('CONFIG_INVALID', `json(parse): ${problem}`)
  const read = (text: string) => {
    const document = parsed(text)
    return parse ? settled(parse(document)) : (document as V)
  }
  return owned({
    name: parse ? `json(${parse.name || 'parse'})` : 'json',
    decode: (raw) => read(typeof raw === 'string' ? raw : utf8Of(raw)),
    decodePart: (buffer, start, end) => read(utf8Of(buffer, start, end)),
  })
}

/** Values are text in UTF-8. Other bytes make the message undecodable. */
export function text(): ValueCodec<string> {
  return owned({
    name: 'text',
    decode: (raw) => (typeof raw === 'string' ? raw : utf8Of(raw)),
    decodePart: (buffer, start, end) => utf8Of(buffer, start, end),
  })
}

/** Values stay bytes. */
export function bytes(): ValueCodec<Buffer> {
  return owned({ name: 'bytes', decode: (raw) => (typeof raw === 'string' ? Buffer.from(raw) : raw) })
}

/** Tidemark's own codecs. */
const own = new WeakSet<object>()

function owned<V>(codec: ValueCodec<V>): ValueCodec<V> {
  own.add(codec)
  return codec
}

/** Anything that may stand in a `value` option. */
export const valueOption = z.custom((value) => problemOf(value) === null, {
  error: ({ input }) => problemOf(input) ?? '',
})

const allowed = 'must be json(), text(), bytes() or a function'

function problemOf(value: unknown): string | null {
  for (const codec of [json, text, bytes])
    if (value === codec) return `${allowed}; this is ${codec.name} itself: call it, ${codec.name}()`
  if (typeof value === 'function') return problemOfSynchronous(value, allowed)
  if (typeof value !== 'object' || value === null) return `${allowed}, not ${shown(value)}`
  const { decode, decodePart } = value as Partial<ValueCodec<unknown>>
  if (typeof decode !== 'function') return `${allowed}, not ${shown(value)}`
  const methods = { decode, ...(decodePart === undefined ? {} : { decodePart }) }
  for (const [name, method] of Object.entries(methods)) {
    const problem = problemOfSynchronous(method, `its ${name} must be a function`)
    if (problem !== null) return problem
  }
  return null
}

/** A codec whose values are there at once. Those of Tidemark's own need no check. */
export function codecOf<V>(option: ValueOption<V>): ValueCodec<V> {
  if (own.has(option)) return option as ValueCodec<V>
  if (typeof option === 'function') {
    const decode = (raw: Buffer | string, info: ValueInfo) =>
      settled(option(typeof raw === 'string' ? Buffer.from(raw) : raw, info))
    return { name: option.name || 'function', decode }
  }
  return {
    name: option.name ?? 'a decoder',
    decode: (raw, info) => settled(option.decode(raw, info)),
    ...(option.decodePart && {
      decodePart: (buffer: Buffer, start: number, end: number, info: ValueInfo) =>
        settled(option.decodePart!(buffer, start, end, info)),
    }),
  }
}

/**
 * Refuses what only a decoder that is not synchronous returns. A document that has a `then` of its own is data: only functions can be
 * awaited.
 *
 * @throws UnsettledValue
 */
function settled<V>(value: V): V {
  if (!isThenable(value)) return value
  // Nobody awaits it, and a rejection that nobody handles ends the process.
  if (value instanceof Promise) value.catch(() => {})
  throw new UnsettledValue('the decoder returned a promise')
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
  const reason = ownReason(thrown)
  const what = `${describePartition(key)} offset ${offset}: the value (${Buffer.byteLength(raw)} bytes) can't be decoded as ${codec.name}`
  const toDo = `Group ${key.group} stops in front of it, and nothing is skipped: correct the source's 'value' option and start again, or repair the data and resume`
  const place = { ...key, offset: String(offset) }
  return reason === null
    ? new UserFailure('UNDECODABLE', { what, toDo, thrown, place })
    : new TidemarkError('UNDECODABLE', `${what}${reason}. ${toDo}`, { place })
}

/** Of what Tidemark's own code has thrown. */
function ownReason(thrown: unknown): string | null {
  if (thrown instanceof NoJson) return ': it is no JSON'
  if (thrown instanceof NoUtf8) return ': it is no UTF-8'
  if (thrown instanceof UnsettledValue)
    return ': the decoder returned a promise, and decoders are synchronous; do what has to wait in the handler'
  return null
}

/** A decoder has returned a promise. */
class UnsettledValue extends TypeError {}

class NoJson extends SyntaxError {}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new NoJson('the value is no JSON')
  }
}
