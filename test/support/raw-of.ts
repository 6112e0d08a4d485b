import type { Message, RawMessage } from '../../src/ports/index.js'

/** What a log of JSON documents holds of a message: `Chunk.raw` of chunks that tests make up. */
export function rawOf({ offset, timestamp, keyBytes: key, value, headers }: Message): RawMessage {
  return {
    offset,
    timestamp,
    key,
    value: Buffer.from(JSON.stringify(value)),
    headers: [...headers].map(([name, text]) => [name, text === null ? null : Buffer.from(text)]),
  }
}
