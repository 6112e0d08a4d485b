import { isThenable } from '../model/functions.js'
import type { Chunk } from '../ports/index.js'
import { type Decoding, LateValue } from './late-value.js'
import { settle } from './settle.js'
import { isImmediate, type ValueInfo } from './value.js'

/**
 * What a reader decodes with: the codec itself where that never gives a promise. Else the first promise of a chunk makes the rest of it
 * late, too, so that the reader never has more than one value under way; `settle` decodes the others.
 */
export interface ChunkDecoder<V> {
  readonly name: string
  decode(raw: Buffer | string, info: ValueInfo): V
  decodePart?(buffer: Buffer, start: number, end: number, info: ValueInfo): V
  /** Flags a chunk whose values are late. To be called once with each chunk, after its last value. */
  finish(chunk: Chunk<V>): Chunk<V>
}

/** One per reader: its calls of `decode` and `finish` belong together. */
export function chunkDecoder<V>(decoding: Decoding<V>): ChunkDecoder<V> {
  const { codec } = decoding
  if (!isImmediate(codec)) return new LateDecoder(decoding)
  return { ...(codec as Omit<ChunkDecoder<V>, 'finish'>), finish: (chunk) => chunk }
}

class LateDecoder<V> implements ChunkDecoder<V> {
  readonly name: string
  readonly decodePart?: NonNullable<ChunkDecoder<V>['decodePart']>
  /** A value of the chunk in hand is late, and so is each one behind it. */
  #isLate = false

  constructor(private readonly decoding: Decoding<V>) {
    const { codec } = decoding
    this.name = codec.name
    if (codec.decodePart)
      this.decodePart = (buffer, start, end, info) => {
        if (this.#isLate) return this.#later(buffer.subarray(start, end), info)
        const value = codec.decodePart!(buffer, start, end, info)
        return isThenable(value)
          ? this.#later(buffer.subarray(start, end), info, value as PromiseLike<V>)
          : (value as V)
      }
  }

  decode(raw: Buffer | string, info: ValueInfo): V {
    if (this.#isLate) return this.#later(raw, info)
    const value = this.decoding.codec.decode(raw, info)
    return isThenable(value) ? this.#later(raw, info, value as PromiseLike<V>) : (value as V)
  }

  finish(chunk: Chunk<V>): Chunk<V> {
    if (!this.#isLate) return chunk
    this.#isLate = false
    return { ...chunk, settle: (signal) => settle(chunk, this.decoding, signal) }
  }

  /** In the place of the value. Nobody looks at it before `settle` has replaced it. */
  #later(raw: Buffer | string, info: ValueInfo, begun?: PromiseLike<V>): V {
    this.#isLate = true
    return new LateValue(this.decoding.codec, raw, info, begun) as V
  }
}
