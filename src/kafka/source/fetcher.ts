import { TidemarkError } from '../../model/errors.js'
import { describePartition } from '../../model/partition.js'
import { pauseFor } from '../../model/pause.js'
import {
  corruptData,
  positionOfEarlierStream,
  positionOutOfRange,
  readingStopped,
  TruncatedLog,
} from '../../model/refusals.js'
import type { ByteLoan, Log, ReadOptions } from '../../ports/index.js'
import { Outage } from '../../reading/outage.js'
import { readerMeaningOf } from '../client/error-codes.js'
import { codeError, passing } from '../client/failures.js'
import { noEpoch } from '../client/topic-metadata.js'
import type { FetchedPartition } from './fetch.js'
import { LeaderOutdated, LogCheck } from './log-check.js'
import { NextAsk } from './next-ask.js'
import type { PartitionLink } from './partition-link.js'
import { DamagedBatch, type RecordBatch, readBatches } from './record-batch.js'
import type { Reached, Truncation } from './truncation.js'
import { visibleBatches } from './visible.js'

/** What one fetch brought: unpacked batches, paid for with a loan from the worker's memory. */
export interface Fetched {
  readonly batches: readonly RecordBatch[]
  readonly visible: ReadonlySet<RecordBatch>
  readonly head: bigint
  readonly loan: ByteLoan
}

/** A message object beside its bytes. */
const perRecord = 250
/** Treat a retryable error as permanent after this many in a row. */
const patience = 8
/** Right after a leader change the new leader may not know yet how far the log goes. */
const rangePatience = 3

/** Failures in a row that retrying may not mend. */
interface Tries {
  final: number
  damaged: number
}

/** Fetches one partition, from position to position. Gets over everything that passes by itself. */
export class Fetcher {
  readonly #outage: Outage
  readonly #ask: NextAsk
  readonly #check: LogCheck

  constructor(
    private readonly link: PartitionLink,
    private readonly options: ReadOptions,
    log: Log,
    /** The incarnation of the topic as it is now. */
    private readonly identity: () => Promise<string | null> = async () => null,
  ) {
    const { key, fetchBytes } = options
    this.#outage = new Outage(log, { ...key }, `reading ${describePartition(key)}`)
    this.#ask = new NextAsk(fetchBytes)
    this.#check = new LogCheck(link)
  }

  /**
   * Waits until there is something at the position, and returns it; null when the reader ends.
   *
   * @throws TidemarkError OUT_OF_RANGE, CORRUPT_DATA, STREAM_NOT_FOUND or AUTH_FAILED
   */
  async fetch(reached: Reached): Promise<Fetched | null> {
    const { signal, budget } = this.options
    const tries: Tries = { final: 0, damaged: 0 }
    this.#ask.begin()
    let loan: ByteLoan | null = null
    try {
      while (!signal.aborted) {
        const wanted = this.#ask.maxBytes(reached.position)
        if (loan) loan.resize(wanted)
        else loan = await budget.take(wanted, signal)
        const got = await this.#try(reached, wanted, tries)
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

  /** One request: what it brought, null to try again, or the error that ends the reading. */
  async #try(reached: Reached, wanted: number, tries: Tries): Promise<Omit<Fetched, 'loan'> | TidemarkError | null> {
    const { signal } = this.options
    const from = reached.position
    try {
      const check = this.#check.before(reached)
      if (check !== null) await this.#whole(check, from, tries)
      const answer = await this.link.fetch({ from, maxBytes: wanted, expects: this.#ask.expects(from) })
      if (!answer || signal.aborted) return null
      if (answer.errorCode !== 0) throw await this.#refusal(answer, from, tries)
      // A topic may have been deleted and created again while nobody answered, and may be longer than what was handled.
      if (this.#outage.interrupted && (await this.#recreated()))
        throw positionOfEarlierStream(this.options.key, from, 'topic')
      const { batches, rest } = readBatches(answer.records)
      const doubt = this.#check.after(reached, batches[0]?.leaderEpoch ?? noEpoch)
      if (doubt !== null) await this.#whole(doubt, from, tries)
      tries.final = 0
      this.#ask.answered(this.link.settings.readUncommitted ? answer.highWatermark : answer.lastStableOffset)
      this.#outage.worked()
      if (batches.length > 0) return { batches, visible: this.#visible(batches, answer), head: answer.highWatermark }
      this.#ask.cameEmpty(from, rest)
      await this.#nothing(answer, from)
      return null
    } catch (error) {
      if (signal.aborted) return null
      const final = this.#final(error, from, tries)
      if (final) return final
      await this.#outage.pause(error, signal)
      if (!signal.aborted) await this.link.leaderMoved().catch(() => {})
      return null
    }
  }

  /** An empty answer, as a rule after the broker has waited. Where it has not, asking at once would be a busy loop. */
  async #nothing({ preferredReplica, lastStableOffset }: FetchedPartition, from: bigint): Promise<void> {
    const { fetchMaxWaitMs, readUncommitted } = this.link.settings
    if (preferredReplica >= 0 && (await this.link.prefer(preferredReplica))) return
    // Behind somebody's open transaction, where a start at 'next' may lie.
    const held = !readUncommitted && from > lastStableOffset
    if (held || preferredReplica >= 0) await pauseFor(fetchMaxWaitMs, this.options.signal)
  }

  #visible(batches: readonly RecordBatch[], { aborted }: FetchedPartition): ReadonlySet<RecordBatch> {
    if (this.link.settings.readUncommitted) return new Set(batches.filter(({ control }) => !control))
    return visibleBatches(batches, aborted)
  }

  /** What an error code in the answer means. OUT_OF_RANGE only once brokers have said so several times. */
  async #refusal({ errorCode }: FetchedPartition, from: bigint, tries: Tries): Promise<TidemarkError> {
    const { key } = this.options
    if (readerMeaningOf(errorCode) === 'range' && ++tries.final > rangePatience)
      return positionOutOfRange(key, from, await this.link.bounds())
    return codeError(errorCode, this.link.settings, key.partition)
  }

  /** Throws when the log was cut below what was read. Believed, too, only when brokers have said so several times. */
  async #whole(check: Promise<Truncation | null>, from: bigint, tries: Tries): Promise<void> {
    const cut = await check.catch((error) => {
      if (error instanceof LeaderOutdated && ++tries.final > patience) return { at: null }
      throw error
    })
    if (!cut) return
    const { key } = this.options
    const truncated = new TruncatedLog(key, from, cut.at)
    if (++tries.final <= rangePatience) throw new TidemarkError('UNREACHABLE', truncated.message)
    throw (await this.#recreated()) ? positionOfEarlierStream(key, from, 'topic') : truncated
  }

  async #recreated(): Promise<boolean> {
    const before = this.options.identity ?? null
    const now = before && (await this.identity())
    return now !== null && now !== before
  }

  /** The error that ends the reading, or null while trying again may help. */
  #final(error: unknown, from: bigint, tries: Tries): TidemarkError | null {
    const { key } = this.options
    if (error instanceof DamagedBatch && ++tries.damaged > 1)
      return corruptData(key, error.baseOffset, { what: 'the record batch', why: error.message })
    if (!(error instanceof TidemarkError) || passing(error).effect !== 'stop') return null
    if (error.code !== 'OUT_OF_RANGE' && ++tries.final <= patience) return null
    return readingStopped(key, from, error)
  }
}

function sizeOf(batches: readonly RecordBatch[]): number {
  let bytes = 0
  for (const { body, count } of batches) bytes += body.length + count * perRecord
  return bytes
}
