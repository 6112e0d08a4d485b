import type { WatchedSlice, WorkObserver } from '../../activities/index.js'
import type { PartitionBatch, PartitionOutcome } from '../model/batch.js'
import { errorCodes, isTidemarkError } from '../model/errors.js'
import type { GroupName, PartitionKey } from '../model/partition.js'
import type { PartitionBlocked, PartitionFenced } from '../model/partition-events.js'
import type { ConsumerSettings } from '../model/settings.js'
import type { Chunk } from '../ports/index.js'
import type { Definitions } from './definitions.js'
import { HeldPartitions } from './held-partitions.js'

/** Counts what this worker does for one consumer. Nothing here is done per message. */
export class ConsumerMeter implements WorkObserver {
  readonly name: GroupName
  readonly held: HeldPartitions
  /** When the oldest message of each partition was written, ms since 1970. */
  firstTimes: ReadonlyMap<number, number> = new Map()

  /** @param partitions how many partitions the stream has */
  constructor(
    { group, stream, retry }: Pick<ConsumerSettings, 'group' | 'stream' | 'retry'>,
    readonly partitions: number,
    private readonly metrics: Definitions,
  ) {
    this.name = { group, stream }
    this.held = new HeldPartitions(retry)
    // A rate needs the counter before its first event.
    for (const counter of [
      metrics.messages,
      metrics.bytes,
      metrics.commits,
      metrics.fences,
      metrics.setAside,
      metrics.redriven,
    ])
      counter.inc(this.name, 0)
    for (const action of ['activity', 'signal'] as const) this.acted(action, 0)
  }

  began(partitions: readonly PartitionBatch[]): void {
    this.held.began(partitions)
  }

  left(partition: number, end: PartitionOutcome['end'] | null): void {
    this.held.left(partition, end)
  }

  took({ partition }: PartitionKey, chunk: Chunk): void {
    this.metrics.bytes.inc(this.name, chunk.bytes)
    this.held.took(partition, chunk)
  }

  handled({ partition }: PartitionKey, chunk: Chunk, ms: number): void {
    const { messages, chunkMessages, handlerSeconds } = this.metrics
    const count = chunk.messages.length
    if (count > 0) {
      messages.inc(this.name, count)
      chunkMessages.observe(this.name, count)
      handlerSeconds.observe(this.name, ms / 1_000)
    }
    this.held.handled(partition, chunk)
  }

  committed(): void {
    this.metrics.commits.inc(this.name)
  }

  failed(
    { partition }: PartitionKey,
    error: unknown,
    at: { readonly offset: bigint | null; readonly attempt: number },
  ): void {
    const code = isTidemarkError(error) && errorCodes.has(error.code) ? error.code : 'OTHER'
    this.metrics.failures.inc({ ...this.name, code })
    this.held.failed(partition, at)
  }

  blocked({ partition, offset, code }: PartitionBlocked): void {
    this.metrics.failures.inc({ ...this.name, code })
    this.held.blocked(partition, offset)
  }

  fenced({ partition }: PartitionFenced): void {
    this.metrics.fences.inc(this.name)
    this.held.fenced(partition)
  }

  /** Position and head say as much. */
  caughtUp(): void {}

  setAside(): void {
    this.metrics.setAside.inc(this.name)
  }

  redriven(_key: PartitionKey, messages: number): void {
    this.metrics.redriven.inc(this.name, messages)
  }

  watched(slice: number, seen: WatchedSlice | null): void {
    this.held.watched(slice, seen)
  }

  /** The worker has run the try of an activity, or sent a signal. */
  acted(action: 'activity' | 'signal', times = 1): void {
    this.metrics.temporalActions.inc({ ...this.name, action }, times)
  }
}
