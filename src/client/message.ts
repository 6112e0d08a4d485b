import type { TidemarkConfig } from '../config/define.js'
import { TidemarkError } from '../model/errors.js'
import { describePartition, type PartitionKey } from '../model/partition.js'
import { offsetOutOfRange } from '../model/refusals.js'
import { dateOf } from '../model/times.js'
import type { Bounds, Message } from '../ports/index.js'
import { NoUtf8, utf8Of } from '../ports/text.js'
import { answerWithin, placeOf } from './deadline.js'
import { findConsumer, requirePartitions, type Wanted } from './find.js'
import { nextMessage } from './next-message.js'
import { patience } from './open-parts.js'
import { inSession, type Session } from './session.js'
import { standingOf } from './standing.js'

export interface MessageOptions extends Wanted {
  readonly partition: number
  /** Default: where the group goes on in the partition, which is the message that a blocked partition stands in front of. */
  readonly offset?: bigint
  /** Values of the message and of its headers are left out where it is absent. At most so many bytes of each are given. */
  readonly payloadBytes?: number
}

/** One message of a stream, for people. Fit for JSON. */
export interface StoredMessage extends PartitionKey {
  readonly offset: string
  /** ISO time; null where the log does not know it. */
  readonly timestamp: string | null
  /** Null where the message has none. */
  readonly key: Content | null
  /** In their order; a name may occur more than once. One of no value has no size. */
  readonly headers: readonly { readonly name: string; readonly bytes: number | null; readonly value?: Content | null }[]
  /** Size of the value; null where the message has none (a tombstone). */
  readonly valueBytes: number | null
  /** Present where values were asked for. */
  readonly value?: Content | null
}

/** Bytes for people: as they are where they are UTF-8, else in base64. */
export interface Content {
  readonly encoding: 'json' | 'text' | 'base64'
  readonly text: string
  /** Size of the whole, and how much of it `text` shows. */
  readonly bytes: number
  readonly shownBytes: number
}

const fetchBytes = 1024 * 1024
/** Keys are names. Of one that is longer than this the rest is a payload. */
const longestKey = 256

/**
 * Reads one message of a group's stream, as it is in the log. Asks the store and the log, and nothing else; moves nothing.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER; OUT_OF_RANGE for an offset that the log does not have, saying which it has, or that has no
 * message; CORRUPT_DATA
 */
export function readMessage(config: TidemarkConfig, options: MessageOptions): Promise<StoredMessage> {
  return inSession(config, (session) => readMessageIn(session, options))
}

export async function readMessageIn(
  session: Session,
  { partition, offset, payloadBytes, ...wanted }: MessageOptions,
): Promise<StoredMessage> {
  const consumer = findConsumer(session.config, wanted)
  const { group, stream } = consumer.settings
  const key = { group, stream, partition }
  const source = await session.undecoded(consumer)
  const read = async () => {
    requirePartitions(stream, [partition], await source.partitions())
    const bounds = (await source.bounds([partition])).get(partition)!
    const at = offset ?? (await nextPosition(session, consumer, key, bounds))
    if (at < bounds.first || at >= bounds.head) throw offsetOutOfRange(key, at, bounds)
    const { signal } = new AbortController()
    const { message, poison } = await nextMessage(
      source,
      { key, position: at },
      { waitMs: patience, fetchBytes, signal },
    )
    if (poison) throw poison.error
    // A group may stand in a gap; a person who names an offset means that one.
    if (!message || (offset !== undefined && message.offset !== offset)) throw noMessageAt(key, at, message)
    return described(key, message, payloadBytes)
  }
  return answerWithin(placeOf(consumer.source), read(), 4 * patience)
}

async function nextPosition(
  session: Session,
  consumer: Parameters<typeof standingOf>[1],
  key: PartitionKey,
  { first, head }: Bounds,
): Promise<bigint> {
  const { position } = await standingOf(session, consumer, key.partition)
  const at = position ?? first
  if (at < head) return at
  throw new TidemarkError(
    'OUT_OF_RANGE',
    `group ${key.group} has handled all of ${describePartition(key)}: it stands at ${at}, and the next message gets ${head}; name another with --offset`,
    { place: { ...key, offset: String(at) } },
  )
}

function noMessageAt(key: PartitionKey, at: bigint, next: Message | null): TidemarkError {
  const where = next === null ? 'and none behind it' : `the next one is ${next.offset}`
  return new TidemarkError(
    'OUT_OF_RANGE',
    `${describePartition(key)} has no message at offset ${at} (offsets have gaps after compaction, at the ends of transactions, and in Postgres streams), ${where}`,
    { place: { ...key, offset: String(at) } },
  )
}

function described(key: PartitionKey, message: Message, payloadBytes: number | undefined): StoredMessage {
  const value = bytesOf(message.value)
  return {
    ...key,
    offset: String(message.offset),
    timestamp: dateOf(message.timestamp)?.toISOString() ?? null,
    key: contentOf(message.keyBytes, Math.max(longestKey, payloadBytes ?? 0)),
    headers: rawHeaders(message).map(([name, bytes]) => ({
      name,
      bytes: bytes?.length ?? null,
      ...(payloadBytes === undefined ? {} : { value: contentOf(bytes, payloadBytes) }),
    })),
    valueBytes: value?.length ?? null,
    ...(payloadBytes === undefined ? {} : { value: contentOf(value, payloadBytes) }),
  }
}

/** Headers as text, which stands for bytes that are no UTF-8, too: their number is that of the last value of the name. */
function rawHeaders({ headers }: Message): [string, Buffer | null][] {
  const names = [...headers].map(([name]) => name)
  return [...headers].map(([name, text], index) => {
    const isLast = names.lastIndexOf(name) === index
    return [name, isLast ? (headers.getBytes(name) ?? null) : text === null ? null : Buffer.from(text)]
  })
}

function bytesOf(value: unknown): Buffer | null {
  return Buffer.isBuffer(value) ? value : null
}

/** At most so many bytes, never a part of a character. */
export function contentOf(bytes: Buffer | null, most: number): Content | null {
  if (!bytes) return null
  const size = { bytes: bytes.length, shownBytes: Math.min(bytes.length, most) }
  const text = textIn(bytes)
  if (text === null) return { encoding: 'base64', text: bytes.subarray(0, most).toString('base64'), ...size }
  const shown = bytes.length <= most ? text : beginningOf(bytes, most)
  return { encoding: isJson(text) ? 'json' : 'text', text: shown, ...size, shownBytes: Buffer.byteLength(shown) }
}

function beginningOf(bytes: Buffer, most: number): string {
  let end = most
  // 10xxxxxx continues a character.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

function textIn(bytes: Buffer): string | null {
  try {
    const text = utf8Of(bytes)
    return text.includes('\0') ? null : text
  } catch (error) {
    if (error instanceof NoUtf8) return null
    throw error
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
