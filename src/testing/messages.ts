import { MemoryLog, type MemoryRecord } from '../memory/source/log.js'
import { TidemarkError } from '../model/errors.js'
import { ranges } from '../model/partition.js'
import { shown } from '../model/shown.js'
import type { Decoding, OutputRecord } from '../ports/index.js'

/** A message for `append`. */
export interface TestMessage {
  /** Chooses the partition: messages of one key keep their order. Without a key, partitions take turns. */
  readonly key?: string | Uint8Array | null
  /**
   * Bytes stand in the log as they are, and text does unless the source's `value` is `json()`. Anything else stands there as JSON. The
   * source's own decoder reads it. Null is a tombstone.
   */
  readonly value: unknown
  readonly headers?: Readonly<Record<string, string | Uint8Array | null>>
  /** Instead of the one that the key chooses. */
  readonly partition?: number
  /** Default: the kit's time. */
  readonly timestamp?: Date | number
}

/** Where a message was put. */
export interface TestPlace {
  readonly stream: string
  readonly partition: number
  readonly offset: bigint
}

/** A stream of the kit: a log in memory, and the rules by which messages get into it. */
export class TestStream {
  readonly log: MemoryLog
  #turn = 0

  /** @param decoding of the source that it stands for, where that says it */
  constructor(
    readonly name: string,
    partitions: number,
    private readonly decoding: Decoding<unknown> | undefined,
  ) {
    this.log = new MemoryLog(name, partitions)
  }

  /** @throws TidemarkError CONFIG_INVALID for a message that no log could hold */
  append(message: TestMessage, now: number): TestPlace {
    const key = message.key === undefined || message.key === null ? null : Buffer.from(message.key)
    const headers = Object.entries(message.headers ?? {}).map(
      ([name, value]) => [name, value === null ? null : Buffer.from(value)] as const,
    )
    const timestamp = message.timestamp === undefined ? now : new Date(message.timestamp).getTime()
    return this.put(message.partition, { key, value: this.#bytesOf(message.value), headers, timestamp })
  }

  /** Takes what a handler has produced. */
  take({ partition, key, value, headers }: OutputRecord, now: number): TestPlace {
    return this.put(partition, { key, value, headers, timestamp: now })
  }

  /** @param chosen partition; undefined: the one that the key chooses */
  put(chosen: number | undefined, record: MemoryRecord): TestPlace {
    const { length } = this.log.partitions
    const partition = chosen ?? (record.key === null ? this.#turn++ % length : hashOf(record.key) % length)
    if (!this.log.partitions.includes(partition))
      throw invalid(
        `${this.name} has no partition ${partition}; it has ${ranges(this.log.partitions)} (option \`partitions\`)`,
      )
    return { stream: this.name, partition, offset: this.log.append(partition, [record]) }
  }

  #bytesOf(value: unknown): Buffer | null {
    if (value === null) return null
    if (value instanceof Uint8Array) return Buffer.from(value)
    const isJson = this.decoding === undefined || /^json(\(|$)/.test(this.decoding.codec.name)
    if (typeof value === 'string' && !isJson) return Buffer.from(value)
    const text: string | undefined = JSON.stringify(value)
    if (text === undefined) throw invalid(`a message for ${this.name}: JSON can't say ${shown(value)}`)
    return Buffer.from(text)
  }
}

function invalid(text: string): TidemarkError {
  return new TidemarkError('CONFIG_INVALID', `append: ${text}`)
}

/** FNV-1a, 32 bits. */
function hashOf(bytes: Buffer): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
