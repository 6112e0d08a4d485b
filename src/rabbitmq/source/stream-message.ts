import type { MessageHeaders } from '../../ports/index.js'
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
}
