import { TidemarkError } from '../../model/errors.js'
import { offsetOutOfRange } from '../../model/refusals.js'
import { joined } from '../../model/signals.js'
import type { StartSpec } from '../../model/start.js'
import type {
  Bounds,
  Chunk,
  Decoding,
  RawMessage,
  Reader,
  ReadOptions,
  Source,
  SourceClient,
} from '../../ports/index.js'
import { connected } from '../../reading/connected.js'
import { decodingFor } from '../../reading/late-value.js'
import type { Origin } from '../../reading/message.js'
import { restored } from '../../reading/restored.js'
import type { Cut, MemoryLog } from './log.js'
import { MemoryReader } from './reader.js'

/** A log in memory as a stream: for tests of what reads it. */
export function memorySource<V>(
  log: MemoryLog,
  decoding: Decoding<V>,
  cut: Cut = (_partition, there) => there,
): Source<V> {
  return {
    kind: 'memory',
    stream: log.stream,
    describe: { stream: log.stream, value: decoding.codec.name },
    decoding,
    connect: ({ signal, values }) =>
      connected(new MemoryClient(log, decodingFor(values, decoding), cut), signal, (client) => client.partitions()),
  }
}

class MemoryClient<V> implements SourceClient<V> {
  readonly #closing = new AbortController()

  constructor(
    private readonly log: MemoryLog,
    private readonly decoding: Decoding<V>,
    private readonly cut: Cut,
  ) {}

  async partitions(): Promise<readonly number[]> {
    this.#requireStream()
    return this.log.partitions
  }

  async bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, Bounds>> {
    this.#requireStream()
    return new Map(partitions.map((partition) => [partition, this.#boundsOf(partition)]))
  }

  async firstTimes(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const times = new Map<number, number>()
    for (const partition of partitions) {
      const [first] = this.log.from(0n, partition, 0)
      if (first) times.set(partition, first.timestamp)
    }
    return times
  }

  async resolve(partition: number, start: StartSpec): Promise<bigint> {
    this.#requireStream()
    const { first, head } = this.#boundsOf(partition)
    if (start === 'first') return first
    if (start === 'next') return head
    if (start === 'last') return head > first ? head - 1n : head
    if ('timestamp' in start) return this.log.at(start.timestamp, partition)
    if (start.offset <= head) return start.offset
    throw offsetOutOfRange({ stream: this.log.stream, partition }, start.offset, { first, head })
  }

  async waitForData(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    const either = joined(signal, this.#closing.signal)
    try {
      return await this.log.arrival(position, partition, either.signal)
    } finally {
      either.leave()
    }
  }

  async identity(): Promise<string> {
    this.#requireStream()
    return this.log.identity
  }

  read(from: bigint, options: ReadOptions): Reader<V> {
    return new MemoryReader(this.log, from, options, this.decoding, this.cut, this.#closing.signal)
  }

  restore(raw: RawMessage, origin: Origin): Chunk<V> {
    return restored(raw, origin, this.decoding)
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }

  #boundsOf(partition: number): Bounds {
    return { first: 0n, head: this.log.head(partition) }
  }

  #requireStream(): void {
    if (this.log.dropped)
      throw new TidemarkError('STREAM_NOT_FOUND', `there is no stream '${this.log.stream}' in memory`, {
        place: { stream: this.log.stream },
      })
  }
}
