import type { ConnectContext } from '../ports/context.js'
import type { Decoding } from '../ports/index.js'
import { bytes, codecOf, json, type ValueCodec, type ValueInfo, type ValueOption } from './value.js'

export type { Decoding }

/** @param option the source's `value`; JSON where it is left out */
export function decodingOf<V>(
  option: ValueOption<V> | undefined,
  { decodeConcurrency, decodeTimeoutMs }: { readonly decodeConcurrency: number; readonly decodeTimeoutMs: number },
): Decoding<V> {
  return { codec: codecOf(option ?? json<V>()), concurrency: decodeConcurrency, timeoutMs: decodeTimeoutMs }
}

/** How a source's client decodes: not at all where it was connected for bytes. */
export function decodingFor<V>(values: ConnectContext['values'], decoding: Decoding<V>): Decoding<V> {
  return values === 'bytes' ? { ...decoding, codec: bytes() as ValueCodec<unknown> as ValueCodec<V> } : decoding
}

/** Stands in a message for a value that is not decoded yet. */
export class LateValue<V> {
  /** Where the value stands. An object of its own, since a reader reuses the one that it gives. */
  readonly info: ValueInfo
  #begun: Promise<V> | null

  /** @param begun what the decoder has returned, where it was called already */
  constructor(
    readonly codec: ValueCodec<V>,
    readonly raw: Buffer | string,
    { group, stream, partition, offset }: ValueInfo,
    begun?: PromiseLike<V>,
  ) {
    this.info = { group, stream, partition, offset }
    this.#begun = begun === undefined ? null : Promise.resolve(begun)
    // A chunk may be thrown away before anybody awaits its values, and a rejection that nobody handles ends the process.
    this.#begun?.catch(() => {})
  }

  /** The value, or a promise of it. Throws what the decoder throws at once. */
  decode(): V | PromiseLike<V> {
    return this.#begun ?? this.codec.decode(this.raw, this.info)
  }
}
