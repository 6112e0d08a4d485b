import type { Chunk, RawMessage } from '../../ports/index.js'
import { chunkDecoder } from '../../reading/chunk-decoder.js'
import type { Decoding } from '../../reading/late-value.js'
import type { Origin } from '../../reading/message.js'
import { chunkOfOne, restored } from '../../reading/restored.js'
import { MessageDecoder } from './message-decoder.js'

/** What a reader would have made of a message: of its key, value and headers, or of all of it where they could not be told apart. */
export function restoredMessage<V>(
  raw: RawMessage,
  origin: Origin,
  decoding: Decoding<V>,
  keyHeader: string,
): Chunk<V> {
  const { offset, timestamp, value: bytes, whole } = raw
  if (!whole || bytes === null) return restored(raw, origin, decoding)
  const decoder = chunkDecoder(decoding)
  const messages = new MessageDecoder(origin, decoder, keyHeader)
  return chunkOfOne(raw, decoder, messages.decode({ offset, bytes, start: 0, end: bytes.length }, timestamp))
}
