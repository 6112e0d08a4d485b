import type { Chunk, Message, Poison, RawMessage } from '../ports/index.js'
import { utf8Of } from '../ports/text.js'
import { type ChunkDecoder, chunkDecoder } from './chunk-decoder.js'
import { undecodable } from './decode-errors.js'
import type { Decoding } from './late-value.js'
import { type Origin, ReadMessage } from './message.js'

/**
 * Decodes a message that was kept raw, as its log's reader does.
 *
 * @param as what the log's reader gives to decoders
 */
export function restored<V>(
  raw: RawMessage,
  origin: Origin,
  decoding: Decoding<V>,
  as: 'bytes' | 'text' = 'bytes',
): Chunk<V> {
  const decoder = chunkDecoder(decoding)
  return chunkOfOne(raw, decoder, decoded(raw, origin, decoder, as))
}

/** What was made of a raw message, as a chunk. Nothing was borrowed for it. */
export function chunkOfOne<V>(raw: RawMessage, decoder: ChunkDecoder<V>, made: Message<V> | Poison): Chunk<V> {
  const { offset, key, value } = raw
  const behind = offset + 1n
  const whole = { from: offset, head: behind, raw: () => raw, release: () => {} }
  if ('error' in made) return { ...whole, next: offset, messages: [], bytes: 0, poison: made }
  const bytes = (key?.length ?? 0) + (value?.length ?? 0)
  return decoder.finish({ ...whole, next: behind, messages: [made], bytes })
}

function decoded<V>(raw: RawMessage, origin: Origin, decoder: ChunkDecoder<V>, as: 'bytes' | 'text') {
  const { offset, timestamp, key, value, headers } = raw
  const { group, stream, partition } = origin
  const info = { group, stream, partition, offset }
  try {
    const decoded = value === null ? null : decode(value)
    return new ReadMessage(origin, offset, timestamp, key, decoded as V, headers)
  } catch (thrown) {
    const error = undecodable(decoder, value!, info, thrown)
    return { error, raw, next: offset + 1n, timestamp } satisfies Poison
  }

  function decode(value: Buffer): V {
    if (as === 'text') return decoder.decode(utf8Of(value), info)
    return decoder.decodePart ? decoder.decodePart(value, 0, value.length, info) : decoder.decode(value, info)
  }
}
