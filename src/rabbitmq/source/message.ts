import { noHeaders, type RawHeaders } from '../../reading/message.js'
import { AmqpReader, NotAmqp } from './amqp.js'
import { AmqpMap, type AmqpValue, textOf } from './amqp-value.js'

/** One message of a stream, as its publisher made it: a body somewhere, and what is said about it. */
export class DecodedMessage {
  #headers: RawHeaders | null = null

  constructor(
    private readonly bytes: Buffer,
    /** Holds the body from `start` to `end`; text where the publisher sent text; null where it sent null. */
    readonly body: Buffer | string | null,
    readonly start: number,
    readonly end: number,
    private readonly sections: Sections,
    private readonly until: number,
  ) {}

  /** The body; text as UTF-8. */
  get bodyBytes(): Buffer | null {
    const { body } = this
    return typeof body === 'string' ? Buffer.from(body) : (body?.subarray(this.start, this.end) ?? null)
  }

  /**
   * Message annotations `x-...`, which is where the broker keeps headers of AMQP 0.9.1 with such names; application properties;
   * the standard properties as `properties.message-id` and so on. Made when somebody asks.
   */
  get headers(): RawHeaders {
    const { annotations, application, properties } = this.sections
    this.#headers ??= [
      ...this.#read(annotations, pairs).filter(([name]) => name.startsWith('x-')),
      ...this.#read(application, pairs),
      ...this.#read(properties, named),
    ]
    return this.#headers
  }

  #read(at: number, meaning: (value: AmqpValue) => RawHeaders): RawHeaders {
    return at < 0 ? noHeaders : meaning(new AmqpReader(this.bytes, at, this.until).value())
  }
}

/** Where sections have their values; -1 for one that is not there. */
interface Sections {
  annotations: number
  application: number
  properties: number
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

const section = {
  annotations: 0x72,
  properties: 0x73,
  application: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
} as const
/** Header, delivery annotations, footer: the broker's business. */
const skipped = new Set([0x70, 0x71, 0x78])

const nothing = Buffer.alloc(0)

/** What the value of a section may be: null, lists and arrays, maps. */
const kinds = { list: new Set([0x45, 0xc0, 0xd0, 0xe0, 0xf0]), map: new Set([0x40, 0xc1, 0xd1]) } as const

/** Decodes the AMQP 1.0 sections of a message; other protocols' messages are kept in them, too. Throws NotAmqp. */
export function decodeMessage(bytes: Buffer, start: number, end: number): DecodedMessage {
  const reader = new AmqpReader(bytes, start, end)
  const sections: Sections = { annotations: -1, application: -1, properties: -1 }
  const data: { start: number; end: number }[] = []
  const sequences: AmqpValue[] = []
  let value: AmqpValue | undefined
  while (!reader.done) {
    const kind = reader.section()
    if (kind === section.data) {
      const binary = reader.binary()
      if (!binary) throw new NotAmqp('a data section holds no bytes')
      data.push(binary)
    } else if (kind === section.annotations) sections.annotations = passed(reader, kinds.map, 'no map')
    else if (kind === section.application) sections.application = passed(reader, kinds.map, 'no map')
    else if (kind === section.properties) sections.properties = passed(reader, kinds.list, 'no list')
    else if (kind === section.value) value = reader.value()
    else if (kind === section.sequence) sequences.push(...listOf(reader.value()))
    else if (skipped.has(kind)) reader.skip()
    else throw new NotAmqp(`a message has no section 0x${kind.toString(16)}`)
  }
  const [first] = data
  if (first && data.length === 1) return new DecodedMessage(bytes, bytes, first.start, first.end, sections, end)
  const body = bodyOf(bytes, data, sequences, value)
  return new DecodedMessage(bytes, body, 0, body?.length ?? 0, sections, end)
}

/** Goes over a section that is read when somebody asks for it, and says where it is; whatever is wrong with it shows here. */
function passed(reader: AmqpReader, kinds: ReadonlySet<number>, otherwise: string): number {
  const { next } = reader
  if (next && !kinds.has(next.code)) throw new NotAmqp(`properties are ${otherwise}`)
  reader.skip()
  return next?.at ?? -1
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

function pairs(value: AmqpValue): RawHeaders {
  if (value === null) return noHeaders
  if (!(value instanceof AmqpMap)) throw new NotAmqp('properties are no map')
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
