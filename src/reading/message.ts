import { type InspectOptions, inspect } from 'node:util'
import { idempotencyKey, type PartitionKey } from '../model/partition.js'
import type { Message, MessageHeaders } from '../ports/index.js'
import { textOf } from '../ports/text.js'

/** What all messages of one reader have in common. */
export interface Origin extends PartitionKey {
  readonly replay: number
}

/** A message of any source. Key and headers become text only when somebody looks at them. */
export abstract class LogMessage<V> implements Message<V> {
  constructor(
    protected readonly rawHeaders: RawHeaders,
    readonly value: V,
  ) {}

  protected abstract get origin(): Origin
  abstract get offset(): bigint
  abstract get timestamp(): number
  abstract get keyBytes(): Buffer | null

  get stream(): string {
    return this.origin.stream
  }

  get partition(): number {
    return this.origin.partition
  }

  get key(): string | null {
    const { keyBytes } = this
    return keyBytes && textOf(keyBytes)
  }

  get headers(): MessageHeaders {
    return new LogHeaders(this.rawHeaders)
  }

  get idempotencyKey(): string {
    return idempotencyKey(this.origin, this.offset, this.origin.replay)
  }

  /** For `JSON.stringify`, which knows no bigints: the offset is text. */
  toJSON() {
    return { ...this.#shown(), offset: String(this.offset) }
  }

  /** For `console.log`, to which properties that are made when they are looked at do not exist. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `Message ${inspect(this.#shown(), options)}`
  }

  #shown() {
    const { stream, partition, offset, timestamp, key, value } = this
    return { stream, partition, offset, timestamp, key, headers: [...this.headers], value }
  }
}

/** A message whose parts are there already. */
export class ReadMessage<V> extends LogMessage<V> {
  constructor(
    protected readonly origin: Origin,
    readonly offset: bigint,
    readonly timestamp: number,
    readonly keyBytes: Buffer | null,
    value: V,
    rawHeaders: RawHeaders,
  ) {
    super(rawHeaders, value)
  }
}

/** Headers in the log's order. */
export type RawHeaders = readonly (readonly [name: string, value: Buffer | null])[]

export const noHeaders: RawHeaders = []

/** Headers as handlers see them. */
export class LogHeaders implements MessageHeaders {
  constructor(private readonly raw: RawHeaders) {}

  get size(): number {
    return this.raw.length
  }

  get(name: string): string | null | undefined {
    const value = this.getBytes(name)
    return value ? textOf(value) : (value as null | undefined)
  }

  getAll(name: string): (string | null)[] {
    return this.raw.filter(([other]) => other === name).map(([, value]) => value && textOf(value))
  }

  getBytes(name: string): Buffer | null | undefined {
    return this.raw.findLast(([other]) => other === name)?.[1]
  }

  *[Symbol.iterator](): Iterator<readonly [string, string | null]> {
    for (const [name, value] of this.raw) yield [name, value && textOf(value)]
  }
}
