import { noHeaders, type RawHeaders } from '../message.js'
import { AmqpMap, AmqpReader, type AmqpValue, NotAmqp, textOf } from './amqp.js'

/** One message of a stream, as its publisher made it: a body somewhere, and what is said about it. */
export interface DecodedMessage {
  /** Holds the body from `start` to `end`; text where the publisher sent text; null where it sent null. */
  readonly body: Buffer | string | null
  readonly start: number
  readonly end: number
  /** Application properties, then the standard ones as `properties.message-id` and so on. */
  readonly headers: RawHeaders
}

/** In the order of the properties section. */
const standard = [
  'message-id',
  'user-id',
  'to',
  'subject',
  'reply-to',
  'correlation-id',
  'content-type',
  'content-encoding',
  'absolute-expiry-time',
  'creation-time',
  'group-id',
  'group-sequence',
  'reply-to-group-id',
] as const

const section = { properties: 0x73, application: 0x74, data: 0x75, sequence: 0x76, value: 0x77 } as const
/** Header, delivery and message annotations, footer: the broker's business. */
const skipped = new Set([0x70, 0x71, 0x72, 0x78])

const nothing = Buffer.alloc(0)

/** Decodes the AMQP 1.0 sections of a message; other protocols' messages are kept in them, too. Throws NotAmqp. */
export function decodeMessage(bytes: Buffer, start: number, end: number): DecodedMessage {
  const reader = new AmqpReader(bytes, start, end)
  let headers: RawHeaders = noHeaders
  let properties: RawHeaders = noHeaders
  const data: { start: number; end: number }[] = []
  const sequences: AmqpValue[] = []
  let value: AmqpValue | undefined
  while (!reader.done) {
    const kind = reader.section()
    if (kind === section.data) {
      const binary = reader.binary()
      if (!binary) throw new NotAmqp('a data section holds no bytes')
      data.push(binary)
    } else if (kind === section.application) headers = application(reader.value())
    else if (kind === section.properties) properties = named(reader.value())
    else if (kind === section.value) value = reader.value()
    else if (kind === section.sequence) sequences.push(...listOf(reader.value()))
    else if (skipped.has(kind)) reader.value()
    else throw new NotAmqp(`a message has no section 0x${kind.toString(16)}`)
  }
  if (properties.length > 0) headers = headers.length > 0 ? [...headers, ...properties] : properties
  if (data.length === 1) return { body: bytes, ...data[0]!, headers }
  const body = bodyOf(bytes, data, sequences, value)
  return { body, start: 0, end: body?.length ?? 0, headers }
}

function bodyOf(
  bytes: Buffer,
  data: readonly { start: number; end: number }[],
  sequences: readonly AmqpValue[],
  value: AmqpValue | undefined,
): Buffer | string | null {
  if (data.length > 0) return Buffer.concat(data.map(({ start, end }) => bytes.subarray(start, end)))
  if (value !== undefined) return textOf(value)
  return sequences.length > 0 ? textOf([...sequences]) : nothing
}

function application(value: AmqpValue): RawHeaders {
  if (value === null) return noHeaders
  if (!(value instanceof AmqpMap)) throw new NotAmqp('application properties are no map')
  return value.entries.map(([name, one]) => [String(textOf(name)), bytesOf(one)] as const)
}

function named(value: AmqpValue): RawHeaders {
  const headers: [string, Buffer | null][] = []
  for (const [index, one] of listOf(value).entries()) {
    const name = standard[index]
    if (one !== null && name !== undefined) headers.push([`properties.${name}`, bytesOf(one)])
  }
  return headers
}

/** A section that is a list comes as a plain one: its descriptor was read as the section's. */
function listOf(value: AmqpValue): AmqpValue[] {
  if (Array.isArray(value)) return value
  throw new NotAmqp('a section is no list')
}

function bytesOf(value: AmqpValue): Buffer | null {
  const text = textOf(value)
  return typeof text === 'string' ? Buffer.from(text) : text
}
