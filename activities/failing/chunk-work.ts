import { TidemarkError, UserFailure } from '../../src/model/errors.js'
import { isNamed, type PartialFailure } from '../../src/model/handler-errors.js'
import { unlessItThrows } from '../../src/model/thrown.js'
import type { Failing, Suspect } from '../../src/model/trouble.js'
import type { Chunk, Message, NewLetter, Poison } from '../../src/ports/index.js'
import { type Interrupt, interrupted } from '../batch/interrupt.js'
import type { Aside, DeliverChunk } from '../handling/delivery.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { Fault } from './classify.js'
import { codeOf, type FailureOfUser, Faults } from './faults.js'
import { type Destiny, LastTry } from './last-try.js'
import { follower, redacted } from './new-letter.js'
import { lettersOf, ParkedKeys } from './parked.js'
import { Pieces } from './pieces.js'
import { queueOf } from './queue.js'
import { pauseAfter, postpone, retryIn } from './retry-after.js'
import { afterLoss, CrashesUsedUp, mark, narrow, unmark } from './suspects.js'
import { lastFailure, Troubles } from './troubles.js'
import { type Along, nameOf, type Worked } from './worked.js'

/** Messages of a piece that the handler gets, and those that go behind others of their key. */
type Divided = ReturnType<ParkedKeys['divide']>

/** A retry that is due so soon is waited for in its place, ms. */
const soonMs = 50

/**
 * Brings chunks through, whatever fails: finds the message that makes its chunk fail, counts its tries beside progress, and does with it what the consumer's
 * options say once they are used up. As long as nothing fails, it gives each chunk to the handler as it is.
 */
export class ChunkWork {
  readonly troubles: Troubles
  readonly parked: ParkedKeys
  readonly #lastTry: LastTry
  readonly #faults: Faults
  #loaded: Promise<unknown>
  readonly #name: string

  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly worked: Worked,
    private readonly deliver: DeliverChunk,
  ) {
    const { key } = worked
    const { afterLastTry } = runtime.settings.failures
    this.troubles = new Troubles(runtime.troubles, worked)
    this.parked = new ParkedKeys(lettersOf(runtime), key, afterLastTry.policy === 'dead-letter' ? afterLastTry : null)
    this.#lastTry = new LastTry(runtime, worked, this.troubles, this.parked, deliver)
    this.#faults = new Faults(runtime, worked)
    this.#name = nameOf(key)
    this.#loaded = Promise.all([this.troubles.load(), this.parked.load()])
    this.#loaded.catch(() => {})
  }

  /**
   * Knows what was known before. To be called before the first chunk.
   *
   * @param batch whether it has this partition alone since it is in trouble, whether this is its first try, and whether Temporal has missed
   *   the worker of the try before
   * @throws what the partition is to be tried again with, later
   */
  async begin(
    position: bigint,
    batch: { readonly first: boolean; readonly apart: boolean; readonly lost: boolean },
  ): Promise<void> {
    await this.#loaded
    const { settings } = this.runtime
    const { key, clock } = this.worked
    if (batch.lost) {
      const lost = await afterLoss(settings, key, position, this.troubles, clock.now())
      if (lost) throw lost
    }
    // Temporal waits between two tries, where people see the error and when the next one is. It needs a failure for that.
    if (!batch.apart || !batch.first) return
    const last = lastFailure(this.troubles, position)
    if (!last) return
    const left = last.at + pauseAfter(last.tries, settings.retry, { jitter: 0 }) - clock.now()
    if (left <= soonMs) return
    const error = new TidemarkError(last.isLoss ? 'WORKER_LOST' : 'HANDLER_FAILED', last.text, {
      place: { ...key, offset: last.offset },
    })
    throw retryIn(postpone(error), left)
  }

  /**
   * Handles a chunk, in as many pieces as it takes.
   *
   * @returns whether all of it is done; else the batch wants to end, and `along.done` has heard how far it came
   * @throws what the partition is to be tried again with, or stops at. Everything before the message that failed is done
   */
  async handle(chunk: Chunk, along: Along): Promise<boolean> {
    const suspect = this.troubles.suspectAt(chunk.from)
    const first = chunk.messages[0]
    const failing = first && this.troubles.failingAt(first.offset)
    // Alone, since it failed alone.
    const isFailing = failing !== undefined && failing.among === undefined
    const pieces = new Pieces(chunk, { ...(isFailing && { first: 1 }), ...(suspect?.size && { size: suspect.size }) })
    let immediate = 0
    for (let isFirst = true, next = pieces.next(); next; isFirst = false, next = pieces.next()) {
      if (!isFirst && along.stops()) return false
      const { chunk: piece } = next
      const divided = this.#divided(piece)
      const given = divided.free
      // A message that was named together with an earlier one of its key only goes behind that one.
      const error = 'failed' in next && given.length > 0 ? next.failed : await this.#try(piece, divided, along)
      if (error === interrupted) return false
      if (error === undefined) {
        immediate = 0
        const handled = given.length > 0
        if (handled) this.runtime.circuits.handled(this.#name)
        if (this.troubles.any) await this.troubles.past(piece.next, handled)
        await along.done(piece, given)
        continue
      }
      if (!this.#faults.isOfUser(error)) {
        this.runtime.circuits.left(this.#name)
        throw error
      }
      const named = 'failed' in next ? null : this.#named(error, given)
      // Before anything is tried again, whatever it was.
      if (named) await this.#keepDone(given, named)
      const fault = this.#faults.of(error)
      if (fault.class === 'unavailable') throw this.#faults.unavailable(fault.dependency, error)
      this.runtime.circuits.left(this.#name)
      if (fault.class === 'transient') {
        if (immediate++ >= this.runtime.settings.failures.immediate) throw this.#faults.told(error)
        pieces.again()
        continue
      }
      // One that is alone is found already: what a transaction has rolled back would be named again and again.
      if (named && !(this.#isAtomic && given.length === 1)) {
        pieces.isolate(named, this.#isAtomic ? undefined : error)
        continue
      }
      const { free } = this.#divided(piece)
      if (free.length > 1 && this.#mayHalve(error)) {
        pieces.split()
        continue
      }
      if (error.code === 'CHUNK_TIMEOUT' && free.length > 1) {
        await narrow(this.troubles, piece, free.length)
        throw error
      }
      await this.#failed(piece, free, error, fault)
      await along.done(piece, [])
    }
    return true
  }

  /** A message that can't be decoded, at the end of what could be. Returns whether reading goes on behind it. */
  async undecodable(poison: Poison, position: bigint, head: bigint): Promise<boolean> {
    if (poison.raw === null || poison.error.code !== 'UNDECODABLE') return false
    return this.#lastTry.undecodable(poison, position, head)
  }

  /** Gives the piece to the handler, without what is not for it. Returns what failed; `interrupted` where the handler has got nothing. */
  async #try(piece: Chunk, divided: Divided, { interrupt }: Along): Promise<unknown> {
    const suspect = this.troubles.suspectAt(piece.from)
    if (suspect && divided.free.length > 0) return this.#tryWatched(piece, divided, suspect, interrupt)
    return this.#give(piece, divided)
  }

  /** In a stretch in which workers were lost. */
  async #tryWatched(piece: Chunk, divided: Divided, suspect: Suspect, interrupt: Interrupt): Promise<unknown> {
    const { failures } = this.runtime.settings
    const { free } = divided
    const [only] = free
    const failing = only && this.troubles.failingAt(only.offset)
    // A single loss counts against nobody, however few tries are left: it may have had another cause.
    if (
      free.length === 1 &&
      failing?.code === 'WORKER_LOST' &&
      failing.crashes >= Math.max(failures.crashes, (failing.stoppedAfter ?? 0) + 1)
    )
      return new UserFailure('WORKER_LOST', {
        what: failing.last,
        thrown: new CrashesUsedUp(`workers were lost at it ${failing.crashes} times`),
        place: { ...this.worked.key, offset: String(only!.offset) },
      })
    // One suspect chunk at a time: what is in hand beside it would be suspected with it.
    const alone = suspect.crashes > 0 ? await this.runtime.quarantine.take(interrupt) : () => {}
    if (!alone) return interrupted
    try {
      await mark(this.troubles, suspect, { ...piece, messages: free })
      const error = await this.#give(piece, divided)
      if (error !== undefined) await unmark(this.troubles, piece.from)
      return error
    } finally {
      alone()
    }
  }

  async #give(piece: Chunk, { free, behind }: Divided): Promise<unknown> {
    const letters = this.#behind(piece, behind)
    if (letters.length > 0) await this.#lastTry.requireRoom(letters)
    try {
      await this.deliver(
        free.length === piece.messages.length ? piece : { ...piece, messages: free },
        this.#aside(letters),
      )
      this.parked.added(letters)
      return undefined
    } catch (error) {
      return error ?? new Error(`the handler threw ${error}`)
    }
  }

  #divided(piece: Chunk): Divided {
    const { messages } = piece
    if (this.troubles.done.length === 0) return this.parked.divide(messages)
    return this.parked.divide(messages.filter(({ offset }) => !this.troubles.isDone(offset)))
  }

  #behind(piece: Chunk, messages: readonly Message[]): NewLetter[] {
    const { afterLastTry } = this.runtime.settings.failures
    const settings = afterLastTry.policy === 'dead-letter' ? afterLastTry : null
    // The queue that is there, even where the options would make none any more.
    return messages.map((message) =>
      follower(piece.raw(message), this.worked.replay, queueOf(message.keyBytes), settings),
    )
  }

  #aside(letters: readonly NewLetter[]): Aside | undefined {
    if (letters.length === 0) return undefined
    return { sql: (tx) => this.runtime.letters.add(tx, this.worked.key, letters) }
  }

  /**
   * The message has failed alone; or its chunk has, and nobody can tell which message it was. Resolves when it was set aside.
   */
  async #failed(piece: Chunk, free: readonly Message[], error: FailureOfUser, fault: Fault): Promise<void> {
    const [message] = free
    if (!message) throw this.#faults.told(error)
    const { settings, errors, failing } = this.runtime
    const { failures, retry } = settings
    const { key, clock } = this.worked
    const now = clock.now()
    const before = this.troubles.failingAt(message.offset)
    const isCrash = error.code === 'WORKER_LOST'
    const tries = (before?.tries ?? 0) + (isCrash ? 0 : 1)
    const crashes = before?.crashes ?? 0
    // Of its own: those at which workers were lost have a limit of their own.
    const own = tries - crashes
    // The row of a trouble is as open to readers of the database as a letter.
    const text = redacted(errors.told(error, key.partition).text, failing.redact)
    const failed: Failing = {
      position: String(message.offset),
      ...(free.length > 1 && { among: free.length }),
      tries,
      crashes,
      firstAt: before?.firstAt ?? now,
      lastAt: now,
      code: codeOf(error, settings.errors),
      first: before?.first ?? text,
      last: text,
    }
    const isLast = isCrash || fault.class === 'poison' || (failures.attempts !== null && own >= failures.attempts)
    if (!isLast) {
      await this.troubles.note({ failing: failed })
      throw retryIn(this.#faults.told(error, own), pauseAfter(tries, retry, failures))
    }
    const destiny: Destiny = {
      class: isCrash ? 'crash' : 'poison',
      failing: failed,
      // Poison has had one try, whatever it might have had.
      told: this.#faults.told(error, isCrash || fault.class === 'poison' ? undefined : own),
    }
    if (free.length > 1) throw await this.#lastTry.cannotTell(free, destiny)
    await this.#lastTry.come(piece, message, this.#behind(piece, this.#divided(piece).behind), destiny)
  }

  /** Which of the messages that the handler was given a `PartialFailure` names. */
  #named(error: unknown, given: readonly Message[]): ReadonlySet<bigint> | null {
    if (!(error instanceof UserFailure) || !isNamed(error.thrown, 'PartialFailure')) return null
    const named = unlessItThrows(() => [...(error.thrown as PartialFailure).messages].map(({ offset }) => offset)) ?? []
    const known = new Set(given.map(({ offset }) => offset))
    const offsets = new Set(named.filter((offset) => known.has(offset)))
    return offsets.size === 0 || this.runtime.settings.commit.after === 'manual' ? null : offsets
  }

  /** What a plain handler has done beside the messages that it names is not done again. */
  async #keepDone(given: readonly Message[], failed: ReadonlySet<bigint>): Promise<void> {
    if (this.#isAtomic) return
    const ranges: [bigint, bigint][] = []
    for (const { offset } of given) {
      if (failed.has(offset)) continue
      const last = ranges.at(-1)
      if (last?.[1] === offset) last[1] = offset + 1n
      else ranges.push([offset, offset + 1n])
    }
    const done = ranges.map(([from, to]) => [String(from), String(to)] as const)
    if (done.length > 0) await this.troubles.note({ done: [...this.troubles.done, ...done] })
  }

  get #isAtomic(): boolean {
    return this.runtime.handler.kind === 'transactional' || this.runtime.output?.transactions !== undefined
  }

  #mayHalve(error: FailureOfUser): boolean {
    const { failures, commit } = this.runtime.settings
    return error instanceof UserFailure && failures.isolate && commit.after !== 'manual'
  }
}
