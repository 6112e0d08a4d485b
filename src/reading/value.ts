import { z } from 'zod'
import { TidemarkError } from '../model/errors.js'
import { problemOfFunction } from '../model/functions.js'
import { shown } from '../model/shown.js'
import type { Duration } from '../model/units.js'
import type { ValueCodec, ValueInfo } from '../ports/index.js'
import { utf8Of } from '../ports/text.js'
import { parsedJson } from './json-text.js'

export type { ValueCodec, ValueInfo }

/** What a source's `value` option takes. A function gets the bytes. */
export type ValueOption<V> = ValueCodec<V> | ((bytes: Buffer, info: ValueInfo) => V | PromiseLike<V>)

/** How the values of a source are decoded. */
export interface DecodeOptions<V> {
  /** `json()` (default), `text()`, `bytes()`, or a function of the value's bytes. May be asynchronous. */
  readonly value?: ValueOption<V>
  /** How many values of a partition an asynchronous decoder works on at the same time. Default 16. */
  readonly decodeConcurrency?: number
  /** How long an asynchronous decoder may take for a value before the chunk is tried again. Default 30s. */
  readonly decodeTimeout?: Duration
}

const parseForms = 'must be a function of the document, for example OrderSchema.parse'

/**
 * Values are JSON in UTF-8. The default. Other bytes make the message undecodable.
 *
 * @param parse checks or converts the document, for example `OrderSchema.parse`; what it throws makes the message undecodable. It may
 *   return a promise
 * @throws TidemarkError CONFIG_INVALID for what is no function
 */
export function json<V = unknown>(parse?: (document: unknown) => V | PromiseLike<V>): ValueCodec<V> {
  const problem = parse === undefined ? null : problemOfFunction(parse, parseForms)
  if (problem !== null) throw new TidemarkError('CONFIG_INVALID', `json(parse): ${problem}`)
  const read = (text: string) => {
    const document = parsedJson(text)
    return parse ? parse(document) : (document as V)
  }
  const codec: ValueCodec<V> = {
    name: parse ? `json(${parse.name || 'parse'})` : 'json',
    decode: (raw) => read(typeof raw === 'string' ? raw : utf8Of(raw)),
    decodePart: (buffer, start, end) => read(utf8Of(buffer, start, end)),
  }
  return parse ? codec : immediate(codec)
}

/** Values are text in UTF-8. Other bytes make the message undecodable. */
export function text(): ValueCodec<string> {
  return immediate({
    name: 'text',
    decode: (raw) => (typeof raw === 'string' ? raw : utf8Of(raw)),
    decodePart: (buffer, start, end) => utf8Of(buffer, start, end),
  })
}

/** Values stay bytes. */
export function bytes(): ValueCodec<Buffer> {
  return immediate({ name: 'bytes', decode: (raw) => (typeof raw === 'string' ? Buffer.from(raw) : raw) })
}

/** Codecs of Tidemark's own that never return a promise. */
const immediates = new WeakSet<object>()

function immediate<V>(codec: ValueCodec<V>): ValueCodec<V> {
  immediates.add(codec)
  return codec
}

/** Whether what a codec returns is the value for certain, whatever it looks like: a document may have a `then` of its own. */
export function isImmediate(codec: ValueCodec<unknown>): boolean {
  return immediates.has(codec)
}

/** Anything that may stand in a `value` option. */
export const valueOption = z.custom((value) => problemOf(value) === null, {
  error: ({ input }) => problemOf(input) ?? '',
})

const allowed = 'must be json(), text(), bytes() or a function'

function problemOf(value: unknown): string | null {
  for (const codec of [json, text, bytes])
    if (value === codec) return `${allowed}; this is ${codec.name} itself: call it, ${codec.name}()`
  if (typeof value === 'function') return problemOfFunction(value, allowed)
  if (typeof value !== 'object' || value === null) return `${allowed}, not ${shown(value)}`
  const { decode, decodePart } = value as Partial<ValueCodec<unknown>>
  if (typeof decode !== 'function') return `${allowed}, not ${shown(value)}`
  const methods = { decode, ...(decodePart === undefined ? {} : { decodePart }) }
  for (const [name, method] of Object.entries(methods)) {
    const problem = problemOfFunction(method, `its ${name} must be a function`)
    if (problem !== null) return problem
  }
  return null
}

/** The codec that a `value` option describes. */
export function codecOf<V>(option: ValueOption<V>): ValueCodec<V> {
  if (typeof option === 'function')
    return {
      name: option.name || 'function',
      decode: (raw, info) => option(typeof raw === 'string' ? Buffer.from(raw) : raw, info),
    }
  if (option.name) return option
  return {
    name: 'a decoder',
    decode: (raw, info) => option.decode(raw, info),
    ...(option.decodePart && {
      decodePart: (buffer: Buffer, start: number, end: number, info: ValueInfo) =>
        option.decodePart!(buffer, start, end, info),
    }),
  }
}
