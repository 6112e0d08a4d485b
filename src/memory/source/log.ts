import { randomUUID } from 'node:crypto'
import type { RawHeaders } from '../../reading/message.js'

/** A message as the log keeps it. */
export interface MemoryRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
  /** Milliseconds since 1970. */
  readonly timestamp: number
}

/** How many messages the next chunk of a partition may have, out of so many that are there. */
export type Cut = (partition: number, there: number) => number

/** A stream in the memory of this process. Offsets have no gaps and begin with 0. */
export class MemoryLog {
  /** Another log of the same name is another incarnation. */
  readonly identity = randomUUID()
  readonly #partitions: readonly MemoryRecord[][]
  readonly #waiting = new Set<() => void>()
  #dropped = false

  constructor(
    readonly stream: string,
    partitions: number,
  ) {
    this.#partitions = Array.from({ length: partitions }, () => [])
  }

  get partitions(): readonly number[] {
    return [...this.#partitions.keys()]
  }

  /** The stream is gone, as far as clients see. */
  get dropped(): boolean {
    return this.#dropped
  }

  /** Appends to one partition. Returns the offset of the first record. */
  append(partition: number, records: readonly MemoryRecord[]): bigint {
    const there = this.#of(partition)
    const first = BigInt(there.length)
    // One by one: the arguments of a call are limited.
    for (const record of records) there.push(record)
    for (const look of [...this.#waiting]) look()
    return first
  }

  /** The offset that the next record gets. */
  head(partition: number): bigint {
    return BigInt(this.#of(partition).length)
  }

  /** Records from an offset on: as many as fit into so many bytes, and one at least. */
  from(offset: bigint, partition: number, maxBytes: number): MemoryRecord[] {
    const there = this.#of(partition)
    const found: MemoryRecord[] = []
    let bytes = 0
    for (let at = Number(offset); at < there.length; at++) {
      const record = there[at]!
      bytes += sizeOf(record)
      if (found.length > 0 && bytes > maxBytes) break
      found.push(record)
    }
    return found
  }

  /** The offset of the first record of that time or later; the head where there is none. */
  at(timestamp: number, partition: number): bigint {
    const found = this.#of(partition).findIndex((record) => record.timestamp >= timestamp)
    return found < 0 ? this.head(partition) : BigInt(found)
  }

  /** Resolves with true when there is a record at the offset or beyond it, with false when the signal aborts. */
  arrival(offset: bigint, partition: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const look = () => {
        const there = this.head(partition) > offset
        if (!there && !signal.aborted) return
        this.#waiting.delete(look)
        signal.removeEventListener('abort', look)
        resolve(there && !signal.aborted)
      }
      this.#waiting.add(look)
      signal.addEventListener('abort', look, { once: true })
      look()
    })
  }

  drop(): void {
    this.#dropped = true
  }

  #of(partition: number): MemoryRecord[] {
    const found = this.#partitions[partition]
    if (!found) throw new RangeError(`${this.stream} has no partition ${partition}; it has ${this.#partitions.length}`)
    return found
  }
}

/** Bytes that a record takes in memory, about. */
export function sizeOf({ key, value, headers }: MemoryRecord): number {
  const named = headers.reduce((sum, [name, text]) => sum + name.length + (text?.length ?? 0), 0)
  return 64 + (key?.length ?? 0) + (value?.length ?? 0) + named
}
