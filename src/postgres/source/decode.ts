import type { Message, Poison } from '../../ports/index.js'
import type { ChunkDecoder } from '../../reading/chunk-decoder.js'
import { undecodable } from '../../reading/decode-errors.js'
import { noHeaders, type Origin, type RawHeaders, ReadMessage } from '../../reading/message.js'
import type { Row } from './fetch.js'

export interface Decoded<V> {
  readonly messages: Message<V>[]
  /** The row behind the messages, if it can't be decoded. */
  readonly poison?: Poison
}

/** Decodes rows up to the first that its decoder refuses. */
export function decodeRows<V>(rows: readonly Row[], origin: Origin, decoder: ChunkDecoder<V>): Decoded<V> {
  const messages: Message<V>[] = []
  const { group, stream, partition } = origin
  for (const row of rows) {
    const info = { group, stream, partition, offset: row.position }
    const key = row.key === null ? null : Buffer.from(row.key)
    let value: V
    try {
      value = decoder.decode(row.data, info)
    } catch (thrown) {
      const raw = { key, value: Buffer.from(row.data) }
      const error = undecodable(decoder, row.data, info, thrown)
      return { messages, poison: { error, raw, next: row.position + 1n, timestamp: row.timestamp } }
    }
    messages.push(new ReadMessage(origin, row.position, row.timestamp, key, value, headersOf(row)))
  }
  return { messages }
}

/** The event's type comes as the header `type`, in front of its own headers. */
export function headersOf({ type, headers }: Pick<Row, 'type' | 'headers'>): RawHeaders {
  if (type === null && headers === null) return noHeaders
  const own = headers === null ? [] : fieldsOf(JSON.parse(headers))
  return type === null ? own : [['type', Buffer.from(type)], ...own]
}

/** Headers appended by SQL may hold any JSON: a list is a header that occurs several times, other things are their JSON. */
function fieldsOf(headers: unknown): [string, Buffer | null][] {
  if (typeof headers !== 'object' || headers === null) return []
  return Object.entries(headers).flatMap(([name, value]: [string, unknown]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, Buffer | null] => [name, bytesOf(one)]),
  )
}

function bytesOf(value: unknown): Buffer | null {
  if (value === null) return null
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}
