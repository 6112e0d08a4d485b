import type { RawMessage, Source } from '../../ports/index.js'
import type { ValueOption } from '../../reading/value.js'

/** What a kind of source brings to be tested. */
export interface SourceHarness {
  /** A new, empty stream. */
  createStream(partitions: number): Promise<HarnessStream>
  /** A source whose server is there and whose stream is not. */
  unknownStream(): Source
  /** A source whose server is not there. */
  unreachable(): Source
  close?(): Promise<void>
}

export interface HarnessStream {
  readonly name: string
  source<V = unknown>(value?: ValueOption<V>): Source<V>
  /** Writes one message per value, in this order, and resolves when they can be read. */
  append(partition: number, values: readonly unknown[], details?: HarnessDetails): Promise<void>
  /** As `append`, exactly these messages. Only what a log can hold comes: see `cannotHold`. Without it, what `append` writes is looked at. */
  appendRaw?(partition: number, messages: readonly HarnessMessage[]): Promise<void>
  drop(): Promise<void>
}

/** A message as the log is to hold it. */
export type HarnessMessage = Pick<RawMessage, 'key' | 'value' | 'headers'>

/** What not every log can hold. The values of one without binary values are JSON. */
export type HarnessContent =
  | 'binary key'
  | 'null value'
  | 'empty value'
  | 'binary value'
  | 'repeated header'
  | 'null header'
  | 'binary header'

export interface HarnessDetails {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What a kind of source may do otherwise than the others. */
export interface SourceTraits {
  /** Messages carry the key given to `append`. Default true. */
  readonly keys?: boolean
  /** Messages carry the headers given to `append`. Default true. */
  readonly headers?: boolean
  /** Offsets of a partition have no gaps and begin with 0. Default true. */
  readonly contiguous?: boolean
  /** What `appendRaw` can't write. Default nothing. */
  readonly cannotHold?: readonly HarnessContent[]
}
