import type { Message, Poison, RawMessage } from '../../ports/index.js'
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
    let value: V
    try {
      value = decoder.decode(row.data, info)
    } catch (thrown) {
      const error = undecodable(decoder, row.data, info, thrown)
      return { messages, poison: { error, raw: rawOf(row), next: row.position + 1n, timestamp: row.timestamp } }
    }
    messages.push(new ReadMessage(origin, row.position, row.timestamp, keyOf(row), value, headersOf(row)))
  }
  return { messages }
}

/** @param rows by position, one of them at this one */
export function rawAt(rows: readonly Row[], position: bigint): RawMessage {
  let [low, high] = [0, rows.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (rows[middle]!.position < position) low = middle + 1
    else high = middle
  }
  return rawOf(rows[low]!)
}

function rawOf(row: Row): RawMessage {
  const { position: offset, timestamp, data } = row
  return { offset, timestamp, key: keyOf(row), value: Buffer.from(data), headers: headersOf(row) }
}

function keyOf({ key }: Row): Buffer | null {
  return key === null ? null : Buffer.from(key)
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
