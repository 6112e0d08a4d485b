import { messageOf, TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import type { ByteLoan, Log, ReadOptions } from '../../ports.js'
import { Backoff } from './backoff.js'
import { meaningOf, nameOf } from './codes.js'
import { type FetchedPartition, readFetchResponse } from './fetch.js'
import type { PartitionLink } from './partition-link.js'
import { DamagedBatch, type RecordBatch, readBatches } from './record-batch.js'
import { visibleBatches } from './visible.js'

/** What one fetch brought: unpacked batches, paid for with a loan from the worker's memory. */
export interface Fetched {
  readonly batches: readonly RecordBatch[]
  readonly visible: ReadonlySet<RecordBatch>
  readonly head: bigint
  readonly loan: ByteLoan
}

/** Bytes asked for while a partition has nothing new: many partitions wait at the same time. A larger batch comes whole anyway. */
const tailBytes = 64 * 1024
/** A message object beside its bytes. */
const perRecord = 250
/** So often an answer that retrying may mend is believed to be final. */
const patience = 8

/** Fetches one partition, from position to position. Gets over everything that passes by itself. */
export class Fetcher {
  readonly #backoff = new Backoff()
  #head: bigint | null = null
  #failing = false

  constructor(
    private readonly link: PartitionLink,
    private readonly options: ReadOptions,
    private readonly log: Log,
  ) {}

  /**
   * Waits until there is something at `from`, and returns it; null when the reader ends.
   *
   * @throws TidemarkError OUT_OF_RANGE, CORRUPT_DATA, STREAM_NOT_FOUND or AUTH_FAILED
   */
  async fetch(from: bigint): Promise<Fetched | null> {
    const { signal, budget, fetchBytes } = this.options
    let loan: ByteLoan | null = null
    let refused = 0
    let grown = fetchBytes
    try {
      while (!signal.aborted) {
        const atTail = this.#head !== null && from >= this.#head
        const wanted = atTail ? Math.min(tailBytes, fetchBytes) : grown
        if (loan) loan.resize(wanted)
        else loan = await budget.take(wanted, signal)
        try {
          const answer = await this.#ask(from, wanted)
          if (signal.aborted) return null
          if (answer.errorCode !== 0) {
            await this.#refused(answer, from, ++refused)
            continue
          }
          this.#recovered()
          this.#head = answer.highWatermark
          const { batches, rest } = readBatches(answer.records)
          if (batches.length === 0) {
            // The broker sends a first batch whole since KIP-74; an old one cuts it, and has to be asked for more.
            if (rest > 0) grown = Math.max(grown, rest) * 2
            continue
          }
          const fetched = { batches, visible: this.#visible(batches, answer), head: answer.highWatermark, loan }
          loan.resize(sizeOf(batches))
          loan = null
          return fetched
        } catch (error) {
          if (signal.aborted) return null
          if (error instanceof DamagedBatch) {
            if (++refused > 2) throw this.#damaged(error)
          } else if (error instanceof TidemarkError && error.effect === 'stop' && ++refused > patience) throw error
          await this.#failed(error)
        }
      }
      return null
    } catch (error) {
      if (signal.aborted) return null
      throw error
    } finally {
      loan?.release()
    }
  }

  async #ask(from: bigint, bytes: number): Promise<FetchedPartition> {
    const { settings } = this.link
    const { partition } = this.options.key
    const link = await this.link.open()
    const raw = await link.fetch(settings.topic, settings, {
      maxWaitMs: settings.fetchMaxWaitMs,
      maxBytes: bytes,
      partitions: [{ partition, from, maxBytes: bytes }],
    })
    const { partitions, errorCode, throttleMs } = readFetchResponse(raw)
    if (throttleMs > 0) this.log.debug({ ...this.options.key, throttleMs }, 'the broker throttles this client')
    const [answer] = partitions
    if (errorCode !== 0 || !answer) throw new Error(`the broker answered ${nameOf(errorCode)}`)
    return answer
  }

  #visible(batches: readonly RecordBatch[], { aborted }: FetchedPartition): ReadonlySet<RecordBatch> {
    if (this.link.settings.readUncommitted) return new Set(batches.filter(({ control }) => !control))
    return visibleBatches(batches, aborted)
  }

  /** An error code in the answer: asks the new leader, or says that the position can't be read. */
  async #refused({ errorCode }: FetchedPartition, from: bigint, times: number): Promise<void> {
    const { key } = this.options
    const place = { ...key, offset: String(from) }
    const meaning = meaningOf(errorCode)
    const where = `${describePartition(key)}, group ${key.group}`
    if (times > patience && meaning === 'gone')
      throw new TidemarkError(
        'STREAM_NOT_FOUND',
        `${where}: the topic or its partition is gone; create it again, or remove the consumer`,
        { place },
      )
    if (meaning === 'denied')
      throw new TidemarkError('AUTH_FAILED', `${where}: the broker does not let this user read topic '${key.stream}'`, {
        place,
      })
    // Right after a leader change the new leader may not know yet how far the log goes.
    if (times > 3 && meaning === 'range') throw await this.#outOfRange(from)
    await this.#failed(new Error(`the broker answered ${nameOf(errorCode)}`))
  }

  async #outOfRange(from: bigint): Promise<TidemarkError> {
    const { key } = this.options
    const { topic } = this.link.settings
    const link = await this.link.open()
    const [first, head] = await Promise.all(
      [-2, -1].map(async (timestamp) =>
        (await link.listOffsets(topic, 0, [{ partition: key.partition, timestamp }])).get(key.partition),
      ),
    )
    const why =
      from < (first ?? 0n)
        ? 'retention has deleted messages that were not handled yet'
        : 'the log is shorter than what was handled: the topic was created again, or has lost messages'
    return new TidemarkError(
      'OUT_OF_RANGE',
      `${describePartition(key)}, group ${key.group}: position ${from} is not in the log, which goes from ${first} to ${head}; ${why}`,
      { place: { ...key, offset: String(from) } },
    )
  }

  async #failed(error: unknown): Promise<void> {
    const { key, signal } = this.options
    if (!this.#failing)
      this.log.warn(
        { ...key, error: messageOf(error) },
        `reading ${describePartition(key)} is interrupted; trying again`,
      )
    this.#failing = true
    await this.link.close()
    await this.#backoff.pause(signal)
    if (!signal.aborted) await this.link.leaderMoved().catch(() => {})
  }

  #recovered(): void {
    if (this.#failing) this.log.info({ ...this.options.key }, `reading ${describePartition(this.options.key)} goes on`)
    this.#failing = false
    this.#backoff.reset()
  }

  #damaged({ baseOffset, message }: DamagedBatch): TidemarkError {
    const { key } = this.options
    return new TidemarkError(
      'CORRUPT_DATA',
      `${describePartition(key)}, group ${key.group}: the record batch at offset ${baseOffset} can't be read, twice in a row: ${message}. Check the broker's disk and network`,
      { place: { ...key, offset: String(baseOffset) } },
    )
  }
}

function sizeOf(batches: readonly RecordBatch[]): number {
  let bytes = 0
  for (const { body, count } of batches) bytes += body.length + count * perRecord
  return bytes
}
