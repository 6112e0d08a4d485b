import { Context } from '@temporalio/activity'
import type { BatchEnd, BatchInput, BatchResult } from '../../src/model/batch.js'
import { isTidemarkError } from '../../src/model/errors.js'
import { arrived, idleGap } from '../../src/model/rhythm.js'
import type { RetrySettings } from '../../src/model/settings.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Chunk } from '../../src/ports/index.js'
import { PositionChanged } from '../committing/commit-as.js'
import { type Commits, commitsOf } from '../committing/commits.js'
import { StoredOffsets } from '../committing/stored-offsets.js'
import { reporting } from '../failure.js'
import { type DeliverChunk, delivererOf } from '../handling/deliverer.js'
import { heartbeats } from '../heartbeat.js'
import type { ConsumerRuntime } from '../runtime.js'
import { outdated } from './identity.js'
import { type Lease, Readers } from './readers.js'
import { type RunEnd, runEnd } from './until.js'

/**
 * Works one batch: claims the partition, reads from the position of its progress (which is ahead of the plan when an
 * earlier attempt came some way), and hands chunk after chunk to the handler until the batch is full, old or idle.
 */
export function createProcess(runtime: ConsumerRuntime) {
  const readers = new Readers(runtime)
  const { settings, source, progress, draining } = runtime
  const manual = new Map<number, StoredOffsets>()

  /** What the handler has stored so far, where that is the strategy. Where another worker was in between, reading begins at what is stored. */
  function storedOffsets({ key, replay, from }: BatchInput, token: FencingToken, claimed: bigint) {
    if (settings.commit.after !== 'manual') return undefined
    const owner = { key, token, replay }
    const old = manual.get(key.partition)
    const stored = old?.followedBy(replay, BigInt(from), claimed) ? old : new StoredOffsets(runtime, owner, claimed)
    stored.handOver(owner)
    manual.set(key.partition, stored)
    return stored
  }

  async function work(input: BatchInput): Promise<BatchResult> {
    const { key, epoch, batch, replay } = input
    const { cancellationSignal, info } = Context.current()
    const stop = AbortSignal.any([cancellationSignal, draining])
    const work = new Batch(input)
    const stopHeartbeats = heartbeats(settings.heartbeatTimeoutMs, () => ({
      position: String(work.position),
      messages: work.messages,
    }))
    try {
      const token = { epoch, batch, attempt: info.attempt }
      if (await outdated(source, key.partition, input.identity)) return { ...work.result('stopped'), reopen: true }
      const claimed = await progress.claim(key, token, { from: BigInt(input.from), replay })
      const stored = storedOffsets(input, token, claimed)
      work.position = stored?.read ?? claimed
      const commits = commitsOf(runtime, { key, epoch, replay }, work.position, stored)
      const lease = readers.take(key, replay, work.position, input.identity)
      stop.addEventListener('abort', lease.stop, { once: true })
      if (stop.aborted) lease.stop()
      let end: BatchEnd | undefined
      try {
        const handle = delivererOf(runtime, { key, token, replay, ...(stored && { stored }) })
        try {
          end = await work.follow(lease, stop, runtime, commits, handle, runEnd(runtime, input, info.attempt))
          return work.result(end, await commits.end())
        } catch (error) {
          end = undefined
          if (!isTidemarkError(error) || error.effect !== 'stop') throw error
          // What came before it is done, and is committed like any other batch; the partition stops in front of it.
          const result = work.result('stopped', await commits.end())
          const jump = error.code === 'OUT_OF_RANGE' && settings.outOfRange !== 'fail'
          return jump ? { ...result, reopen: true } : { ...result, blocked: error.message }
        }
      } catch (error) {
        // What was handed out and not stored is handed out again.
        manual.delete(key.partition)
        if (error instanceof PositionChanged) return { ...work.result('stopped'), reopen: true }
        throw error
      } finally {
        stop.removeEventListener('abort', lease.stop)
        if (end === 'full' || end === 'duration') readers.park(key, replay, work.position, lease)
        else await readers.close(lease)
      }
    } finally {
      stopHeartbeats()
    }
  }

  return (input: BatchInput): Promise<BatchResult> =>
    reporting(input.key, () => work(input), pauseBefore(Context.current().info.attempt + 1, settings.retry))
}

/**
 * Pause before an attempt, ms. The failed attempt names it, so that these pauses hold for handlers that fail: a batch whose worker is gone
 * is tried again at once.
 */
export function pauseBefore(attempt: number, retry: RetrySettings): number {
  const pause = retry.initialIntervalMs * retry.backoff ** (attempt - 2)
  return Math.min(pause, retry.maximumIntervalMs)
}

/** One batch while it is being worked. */
class Batch {
  position: bigint
  messages = 0
  #head: bigint
  #rhythm: BatchInput['rhythm']

  constructor(input: BatchInput) {
    this.position = BigInt(input.from)
    this.#head = this.position
    this.#rhythm = input.rhythm
  }

  /** Reads and handles until something closes the batch. Everything up to `position` is done when it returns or throws. */
  async follow(
    lease: Lease,
    stop: AbortSignal,
    { settings }: ConsumerRuntime,
    commits: Commits,
    handle: DeliverChunk,
    bound: RunEnd | null,
  ): Promise<BatchEnd> {
    const { maxMessages, maxDurationMs } = settings.batch
    const closesAt = Date.now() + maxDurationMs
    let idleAt = Date.now() + idleGap(this.#rhythm, settings.batch)
    if (await bound?.reached(this.position)) return 'finished'
    for (;;) {
      if (stop.aborted) return 'stopped'
      if (this.messages >= maxMessages) return 'full'
      const now = Date.now()
      if (now >= closesAt) return this.messages > 0 ? 'duration' : 'idle'
      if (now >= idleAt) return (await bound?.idle(this.position)) ? 'finished' : 'idle'
      const chunk = await lease.reader.next({
        maxMessages: Math.min(settings.chunk.maxMessages, maxMessages - this.messages, commits.most),
        waitMs: Math.min(closesAt - now, idleAt - now, commits.dueIn),
      })
      if (!chunk) {
        if (commits.dueIn <= 0) await commits.done(this.position, 0)
        continue
      }
      if (await this.#work(chunk, handle, commits, bound)) return 'finished'
      idleAt = Date.now() + idleGap(this.#rhythm, settings.batch)
    }
  }

  result(end: BatchEnd, committed?: bigint): BatchResult {
    const head = this.#head > this.position ? this.#head : this.position
    const result = { to: String(this.position), messages: this.messages, end, head: String(head), rhythm: this.#rhythm }
    return committed === undefined ? result : { ...result, committed: String(committed) }
  }

  /** Returns whether the run ends here. */
  async #work(whole: Chunk, handle: DeliverChunk, commits: Commits, bound: RunEnd | null): Promise<boolean> {
    let last = false
    try {
      const cut = bound?.cut(whole)
      const chunk = cut?.chunk ?? whole
      last = cut?.last ?? false
      this.#head = chunk.head
      if (chunk.messages.length > 0) this.#rhythm = arrived(this.#rhythm, Date.now())
      if (chunk.next > chunk.from) await handle(chunk)
      this.position = chunk.next
      this.messages += chunk.messages.length
      await commits.done(chunk.next, chunk.messages.length)
    } finally {
      whole.release()
    }
    // Everything before it is done now, so that the message the partition stops at is the first one not handled.
    if (whole.poison && !last) throw whole.poison.error
    return last
  }
}
