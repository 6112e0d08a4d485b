import { TidemarkError } from '../../model/errors.js'
import { describePartition, type PartitionKey } from '../../model/partition.js'
import type { Poison, RawMessage } from '../../ports/index.js'
import type { ChunkDecoder } from '../../reading/chunk-decoder.js'
import { undecodable } from '../../reading/decode-errors.js'
import type { Origin } from '../../reading/message.js'
import type { MessagePlace } from './chunk.js'
import { type DecodedMessage, decodeMessage } from './message.js'
import { StreamMessage } from './stream-message.js'

/** Makes messages of their bytes in a stream. */
export class MessageDecoder<V> {
  /** Reused from message to message. */
  readonly #info: PartitionKey & { offset: bigint }

  constructor(
    private readonly origin: Origin,
    private readonly decoder: ChunkDecoder<V>,
    private readonly keyHeader: string,
  ) {
    const { group, stream, partition } = origin
    this.#info = { group, stream, partition, offset: 0n }
  }

  /** @param timestamp when the broker wrote it, ms since 1970 */
  decode(place: MessagePlace, timestamp: number): StreamMessage<V> | Poison {
    const { bytes, start, end, offset } = place
    let decoded: DecodedMessage
    try {
      decoded = decodeMessage(bytes, start, end)
    } catch (error) {
      const why = `the message (${end - start} bytes) is no AMQP 1.0 (${(error as Error).message})`
      return { error: undecodableMessage(this.#info, offset, why), ...poison(wholeOf(place, timestamp)) }
    }
    const info = this.#info
    info.offset = offset
    try {
      return this.#message(decoded, offset, timestamp, this.#value(decoded))
    } catch (thrown) {
      const { raw } = this.#message(decoded, offset, timestamp, null)
      return { error: undecodable(this.decoder, raw.value!, info, thrown), ...poison(raw) }
    }
  }

  #value({ body, start, end }: DecodedMessage): V | null {
    if (body === null) return null
    if (typeof body === 'string') return this.decoder.decode(body, this.#info)
    if (this.decoder.decodePart) return this.decoder.decodePart(body, start, end, this.#info)
    return this.decoder.decode(body.subarray(start, end), this.#info)
  }

  #message(decoded: DecodedMessage, offset: bigint, timestamp: number, value: V | null): StreamMessage<V> {
    return new StreamMessage(this.origin, offset, timestamp, value as V, decoded, this.keyHeader)
  }
}

/** A message that no retry helps. */
export function undecodableMessage(
  { group, stream, partition }: PartitionKey,
  offset: bigint,
  what: string,
): TidemarkError {
  const key = { group, stream, partition }
  return new TidemarkError(
    'UNDECODABLE',
    `${describePartition(key)} offset ${offset}: ${what}. Unless afterLastTry says otherwise, group ${group} stops in front of it, and nothing is skipped`,
    { place: { ...key, offset: String(offset) } },
  )
}

function wholeOf({ bytes, start, end, offset }: MessagePlace, timestamp: number): RawMessage {
  return { offset, timestamp, key: null, value: bytes.subarray(start, end), headers: [], whole: true }
}

function poison(raw: RawMessage): Omit<Poison, 'error'> {
  return { raw, next: raw.offset + 1n, timestamp: raw.timestamp }
}
