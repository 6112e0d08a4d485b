import type { Message, MessageHeaders, RawMessage } from '../../ports/index.js'
import { LogHeaders, LogMessage, noHeaders, type Origin } from '../../reading/message.js'
import type { DecodedMessage } from './message.js'

/** A message whose properties are read only when somebody asks for them, the key among them. */
export class StreamMessage<V> extends LogMessage<V> {
  constructor(
    protected readonly origin: Origin,
    readonly offset: bigint,
    readonly timestamp: number,
    value: V,
    private readonly decoded: DecodedMessage,
    private readonly keyHeader: string,
  ) {
    super(noHeaders, value)
  }

  get keyBytes(): Buffer | null {
    for (const [name, value] of this.decoded.headers) if (name === this.keyHeader) return value
    return null
  }

  override get headers(): MessageHeaders {
    return new LogHeaders(this.decoded.headers)
  }

  get raw(): RawMessage {
    const { offset, timestamp, keyBytes: key, decoded } = this
    return { offset, timestamp, key, value: decoded.bodyBytes, headers: decoded.headers }
  }
}

/** `Chunk.raw` of all chunks. */
export function rawOf(message: Message): RawMessage {
  if (message instanceof StreamMessage) return message.raw
  throw new TypeError(`the message at offset ${message.offset} is of no chunk of this log`)
}
