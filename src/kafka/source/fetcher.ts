import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import type { ByteLoan, Log, ReadOptions } from '../../ports/index.js'
import { Backoff } from '../../reading/backoff.js'
import { codeName, readerMeaningOf } from '../client/error-codes.js'
import type { Ask } from './ask.js'
import type { FetchedPartition } from './fetch.js'
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
/** Bytes of a reader's first fetch: the handler has its first chunk early, and the log and the handler soon work side by side. */
const firstBytes = 256 * 1024
/** A message object beside its bytes. */
const perRecord = 250
/** So often an answer that retrying may mend is believed to be final. */
const patience = 8

interface Tries {
  /** Answers in a row that name an error. */
  refused: number
  damaged: number
  /** What the next request asks for. */
  bytes: number
  /** An answer was empty, though the partition goes on. */
  missed: boolean
}

/** Fetches one partition, from position to position. Gets over everything that passes by itself. */
export class Fetcher {
  readonly #backoff = new Backoff()
  /** How far the partition can be read, as last known. */
  #end: bigint | null = null
  #failing = false

  constructor(
    private readonly link: PartitionLink,
    private readonly options: ReadOptions,
    private readonly log: Log,
    /** The incarnation of the topic as it is now. */
    private readonly identity: () => Promise<string | null> = async () => null,
  ) {}

  /**
   * Waits until there is something at `from`, and returns it; null when the reader ends.
   *
   * @throws TidemarkError OUT_OF_RANGE, CORRUPT_DATA, STREAM_NOT_FOUND or AUTH_FAILED
   */
  async fetch(from: bigint): Promise<Fetched | null> {
    const { signal, budget, fetchBytes } = this.options
    const tries: Tries = { refused: 0, damaged: 0, bytes: fetchBytes, missed: false }
    let loan: ByteLoan | null = null
    try {
      while (!signal.aborted) {
        const wanted = this.#wanted(from, tries)
        if (loan) loan.resize(wanted)
        else loan = await budget.take(wanted, signal)
        const got = await this.#try(from, wanted, tries)
        if (signal.aborted) return null
        if (got instanceof TidemarkError) throw got
        if (!got) continue
        loan.resize(sizeOf(got.batches))
        const fetched = { ...got, loan }
        loan = null
        return fetched
      }
      return null
    } catch (error) {
      if (signal.aborted) return null
      throw error
    } finally {
      loan?.release()
    }
  }

  #wanted(from: bigint, { bytes }: Tries): number {
    if (this.#end === null) return Math.min(firstBytes, bytes)
    return from >= this.#end ? Math.min(tailBytes, this.options.fetchBytes) : bytes
  }

  #expects(from: bigint, { missed }: Tries): Ask['expects'] {
    if (this.#end === null) return 'unseen'
    if (from >= this.#end) return 'nothing'
    return missed ? 'missed' : 'more'
  }

  /** One request: what it brought, null to try again, or the error that ends the reading. */
  async #try(from: bigint, wanted: number, tries: Tries): Promise<Omit<Fetched, 'loan'> | TidemarkError | null> {
    try {
      const answer = await this.link.fetch({ from, maxBytes: wanted, expects: this.#expects(from, tries) })
      if (!answer || this.options.signal.aborted) return null
      if (answer.errorCode !== 0) return await this.#refused(answer, from, ++tries.refused)
      // A topic may have been deleted and created again while nobody answered, and may be longer than what was handled.
      if (this.#failing && (await this.#recreated())) return this.#ofEarlierTopic(from)
      tries.refused = 0
      this.#end = this.link.settings.readUncommitted ? answer.highWatermark : answer.lastStableOffset
      const { batches, rest } = readBatches(answer.records)
      this.#recovered()
      if (batches.length > 0) return { batches, visible: this.#visible(batches, answer), head: answer.highWatermark }
      tries.missed = from < this.#end
      await this.#nothing(answer, from)
      // The broker sends a first batch whole since KIP-74; an old one cuts it, and has to be asked for more.
      if (rest > 0) tries.bytes = Math.max(tries.bytes, rest) * 2
      return null
    } catch (error) {
      if (this.options.signal.aborted) return null
      if (error instanceof DamagedBatch && ++tries.damaged > 1) return this.#damaged(error)
      if (error instanceof TidemarkError && error.effect === 'stop' && ++tries.refused > patience) return error
      await this.#failed(error)
      return null
    }
  }

  /** An empty answer, as a rule after the broker has waited. Where it has not, asking at once would be a busy loop. */
  async #nothing({ preferredReplica, lastStableOffset }: FetchedPartition, from: bigint): Promise<void> {
    const { fetchMaxWaitMs, readUncommitted } = this.link.settings
    if (preferredReplica >= 0 && (await this.link.prefer(preferredReplica))) return
    // Behind somebody's open transaction, where a start at 'next' may lie.
    const held = !readUncommitted && from > lastStableOffset
    if (held || preferredReplica >= 0)
      await sleep(fetchMaxWaitMs, undefined, { signal: this.options.signal }).catch(() => {})
  }

  #visible(batches: readonly RecordBatch[], { aborted }: FetchedPartition): ReadonlySet<RecordBatch> {
    if (this.link.settings.readUncommitted) return new Set(batches.filter(({ control }) => !control))
    return visibleBatches(batches, aborted)
  }

  /** An error code in the answer: asks the new leader, or says that the position can't be read. */
  async #refused({ errorCode }: FetchedPartition, from: bigint, times: number): Promise<TidemarkError | null> {
    const { key } = this.options
    const place = { ...key, offset: String(from) }
    const meaning = readerMeaningOf(errorCode)
    const where = `${describePartition(key)}, group ${key.group}`
    if (times > patience && meaning === 'gone')
      return new TidemarkError(
        'STREAM_NOT_FOUND',
        `${where}: the topic or its partition is gone; create it again, or remove the consumer`,
        { place },
      )
    if (times > patience && meaning === 'denied')
      return new TidemarkError(
        'AUTH_FAILED',
        `${where}: the broker does not let this user read topic '${key.stream}'`,
        {
          place,
        },
      )
    // Right after a leader change the new leader may not know yet how far the log goes.
    if (times > 3 && meaning === 'range') return this.#outOfRange(from)
    await this.#failed(new Error(`the broker answered ${codeName(errorCode)}`))
    return null
  }

  async #outOfRange(from: bigint): Promise<TidemarkError> {
    const { key } = this.options
    const { first, head } = await this.link.bounds()
    const why =
      from < first
        ? 'retention has deleted messages that were not handled yet'
        : 'the log is shorter than what was handled: the topic was created again, or has lost messages'
    return new TidemarkError(
      'OUT_OF_RANGE',
      `${describePartition(key)}, group ${key.group}: position ${from} is not in the log, which goes from ${first} to ${head}; ${why}`,
      { place: { ...key, offset: String(from) } },
    )
  }

  async #recreated(): Promise<boolean> {
    const before = this.options.identity ?? null
    const now = before && (await this.identity())
    return now !== null && now !== before
  }

  #ofEarlierTopic(from: bigint): TidemarkError {
    const { key } = this.options
    return new TidemarkError(
      'OUT_OF_RANGE',
      `${describePartition(key)}, group ${key.group}: position ${from} belongs to a topic that was deleted; another one of the same name has been created since`,
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
