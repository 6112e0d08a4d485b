import type { PartitionBatch } from '../../src/model/batch.js'
import { isTidemarkError, TidemarkError, UserFailure } from '../../src/model/errors.js'
import { isThenable } from '../../src/model/functions.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Chunk, Message } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'

/** The end of a run, as one batch looks for it. */
export interface RunEnd {
  /** Whether the run is over where the batch begins. */
  reached(position: bigint): Promise<boolean>
  /** The same, where nothing came for a while. */
  idle(position: bigint): Promise<boolean>
  /** What of a chunk belongs to the run, and whether the run ends behind it. */
  cut(chunk: Chunk): { readonly chunk: Chunk; readonly last: boolean }
}

/** Checks messages before each time they are handled. Null where the consumer reads without an end. */
export function runEnd(
  runtime: ConsumerRuntime,
  key: PartitionKey,
  batch: PartitionBatch,
  attempt: number,
): RunEnd | null {
  const { until } = runtime
  if (until === 'head' && batch.run?.end !== undefined) return new AtHead(runtime, key, BigInt(batch.run.end))
  if (typeof until === 'function') return new AtMessage(runtime, key, batch, until, attempt)
  return null
}

class AtHead implements RunEnd {
  constructor(
    private readonly runtime: Pick<ConsumerRuntime, 'source'>,
    private readonly key: PartitionKey,
    private readonly end: bigint,
  ) {}

  async reached(position: bigint): Promise<boolean> {
    return position >= this.end
  }

  /** The last messages may be gone: deleted in a table, expired, lost by a broker. */
  async idle(position: bigint): Promise<boolean> {
    const bounds = (await this.runtime.source.bounds([this.key.partition])).get(this.key.partition)
    return bounds !== undefined && position >= bounds.head
  }

  cut(chunk: Chunk): { chunk: Chunk; last: boolean } {
    if (chunk.next < this.end) return { chunk, last: false }
    const mine = chunk.messages.filter(({ offset }) => offset < this.end)
    return { chunk: part(chunk, mine, this.end), last: true }
  }
}

class AtMessage implements RunEnd {
  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly key: PartitionKey,
    private readonly batch: PartitionBatch,
    private readonly until: (message: Message) => boolean,
    private readonly attempt: number,
  ) {}

  /**
   * Whether an earlier try of this batch, or an earlier owner, has handled the run's last message and could not say so any more: then it
   * stands right before the position.
   */
  async reached(position: bigint): Promise<boolean> {
    const { key } = this
    const { run, replay, follows, from } = this.batch
    const certain = follows && this.attempt === 1 && position === BigInt(from)
    if (!run || position <= BigInt(run.began) || certain) return false
    const { source, settings, budget, draining } = this.runtime
    const over = new AbortController()
    const before = position - 1n
    const { fetchBytes } = settings.chunk
    const reader = source.read(before, { key, replay, fetchBytes, budget, signal: over.signal })
    try {
      const read = await reader.next({ maxMessages: 1, waitMs: lookBackMs })
      const chunk = read?.settle ? await read.settle(draining) : read
      if (read?.settle && draining.aborted) throw new Error('the worker stopped before it knew whether the run is over')
      const [message] = chunk?.messages ?? []
      const last = message?.offset === before && this.#ends(message)
      chunk?.release()
      return last
    } catch (error) {
      // What is gone can't be asked any more; whether the position can be read is for the batch to say.
      if (isTidemarkError(error) && error.code === 'OUT_OF_RANGE') return false
      throw error
    } finally {
      over.abort()
      await reader.close()
    }
  }

  async idle(): Promise<boolean> {
    return false
  }

  cut(chunk: Chunk): { chunk: Chunk; last: boolean } {
    const index = chunk.messages.findIndex((message) => this.#ends(message))
    if (index < 0) return { chunk, last: false }
    const mine = chunk.messages.slice(0, index + 1)
    return { chunk: part(chunk, mine, mine[index]!.offset + 1n), last: true }
  }

  #ends(message: Message): boolean {
    let ends: unknown
    try {
      ends = this.until(message)
    } catch (error) {
      const failure = new UserFailure('HANDLER_FAILED', {
        what: `'until' of group ${this.key.group} failed at ${describePartition(this.key)} offset ${message.offset}`,
        thrown: error,
        place: { ...this.key, offset: String(message.offset) },
      })
      throw this.runtime.errors.failed(failure)
    }
    if (!isThenable(ends)) return Boolean(ends)
    if (ends instanceof Promise) ends.catch(() => {})
    throw untilWaits(this.key, message.offset)
  }
}

/** A promise is true in itself: it would end the run at its first message. */
function untilWaits(key: PartitionKey, offset: bigint): TidemarkError {
  return new TidemarkError(
    'HANDLER_MISTAKEN',
    `'until' of group ${key.group} returned a promise at ${describePartition(key)} offset ${offset}; it must return true or false at once. ` +
      'Make it synchronous, restart the workers, and resume',
    { place: { ...key, offset: String(offset) } },
  )
}

/** The message is there, unless retention has just deleted it. */
const lookBackMs = 5_000

/** What lies behind it, an undecodable message for instance, is not this run's affair. */
function part({ from, bytes, head, raw, release }: Chunk, messages: readonly Message[], next: bigint): Chunk {
  return { from, next, messages, bytes, head, raw, release }
}
