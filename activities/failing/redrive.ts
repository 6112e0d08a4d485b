import { isTidemarkError, TidemarkError, UserFailure } from '../../src/model/errors.js'
import { describePartition } from '../../src/model/partition.js'
import type { Chunk, FullLetter, LetterFailure, Message } from '../../src/ports/index.js'
import type { Aside, DeliverChunk } from '../handling/delivery.js'
import type { ConsumerRuntime } from '../runtime.js'
import { codeOf, Faults } from './faults.js'
import { redacted } from './new-letter.js'
import type { ParkedKeys } from './parked.js'
import { readAgain } from './read-again.js'
import { sweepLetters } from './retention.js'
import type { Troubles } from './troubles.js'
import { WatchedLetters } from './watched-letters.js'
import { type Along, nameOf, type Worked } from './worked.js'

/** Letters that are handled in one transaction. */
const mostAtOnce = 100

/** What a transaction does to letters. */
interface Ending extends Aside {
  readonly committed?: () => void
}

/** Where the partition stands meanwhile. */
export interface Standing {
  readonly position: bigint
  readonly head: bigint
  /** Of the message before the position. */
  readonly witness?: string
}

/**
 * Handles messages that were set aside, when a person has asked for it or their time has come: the work of the partition's owner, with its token,
 * between its chunks. What a handler does with a letter and the letter's end are one transaction.
 */
export class Redrive {
  /** A person has asked for a rate. By `performance.now()`. */
  #notBefore = 0
  /** Letters that ended in this round, and the queues that they have left empty. */
  #ended: { readonly letters: number; readonly emptied: readonly string[] } = { letters: 0, emptied: [] }

  readonly #faults: Faults
  readonly #watched: WatchedLetters
  private readonly parked: ParkedKeys

  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly worked: Worked,
    { parked, troubles }: { readonly parked: ParkedKeys; readonly troubles: Troubles },
    private readonly deliver: DeliverChunk,
  ) {
    this.parked = parked
    this.#watched = new WatchedLetters(runtime, troubles)
    this.#faults = new Faults(runtime, worked)
  }

  /** Milliseconds until there is a letter to handle. */
  get dueIn(): number {
    const { nextDue } = this.parked
    if (nextDue === null) return Number.POSITIVE_INFINITY
    return Math.max(0, nextDue - this.worked.clock.now(), this.#notBefore - performance.now())
  }

  /** Handles the next letters that are due. Returns how many messages were handled. */
  async some(standing: Standing, along: Pick<Along, 'stops'>): Promise<number> {
    const { key, clock } = this.worked
    const { letters, perSecond } = await this.runtime.letters.due(key, { now: clock.now(), limit: mostAtOnce })
    const now = perSecond === null ? letters : letters.slice(0, Math.max(1, Math.min(perSecond, mostAtOnce)))
    let handled = 0
    let isKnown = false
    this.#ended = { letters: 0, emptied: [] }
    try {
      const leaving = now.filter(({ state }) => state === 'leaving')
      if (leaving.length > 0) await this.#deliver(standing, [], this.#end(leaving))
      const due = now.filter(({ state }) => state !== 'leaving')
      // What a failure would run again without undoing it goes alone.
      const together = this.runtime.settings.failures.isolate && !this.#watched.isOn(standing.position)
      handled = together ? await this.#handle(standing, due, along) : await this.#oneByOne(standing, due, along)
      isKnown = this.#ended.letters === now.length && now.length > 0
    } finally {
      if (perSecond !== null) this.#notBefore = performance.now() + (now.length * 1000) / perSecond
      // Where all of them ended, the owner knows what is left; counting them is work where they are many.
      if (isKnown) this.parked.ended(this.#ended)
      else await this.parked.load()
      void sweepLetters(this.runtime)
    }
    return handled
  }

  async #handle(standing: Standing, letters: readonly FullLetter[], along: Pick<Along, 'stops'>): Promise<number> {
    const messages: Message[] = []
    const sound: FullLetter[] = []
    /** Keys that a letter of has failed in this round: what is behind it has to wait. */
    const failed = new Set<string>()
    for (const letter of letters) {
      if (letter.queue !== null && failed.has(letter.queue)) continue
      const read = await this.#read(letter)
      if ('message' in read) {
        messages.push(read.message)
        sound.push(letter)
        continue
      }
      if (letter.queue !== null) failed.add(letter.queue)
      await this.#failed(standing, letter, read.failure)
    }
    return this.#give(standing, { letters: sound, messages }, along)
  }

  /** @param immediate tries at once that were used up by failures that pass */
  async #give(
    standing: Standing,
    given: { readonly letters: readonly FullLetter[]; readonly messages: readonly Message[] },
    along: Pick<Along, 'stops'>,
    immediate = 0,
  ): Promise<number> {
    const { letters: sound, messages } = given
    if (sound.length === 0) return 0
    try {
      await this.#deliver(standing, messages, this.#end(sound))
      this.runtime.circuits.handled(nameOf(this.worked.key))
      this.runtime.story.redriven(this.worked.key, sound.length)
      return sound.length
    } catch (error) {
      if (!this.#faults.isOfUser(error)) throw error
      // Letters wait like any other message.
      const fault = this.#faults.of(error)
      if (fault.class === 'unavailable') throw this.#faults.unavailable(fault.dependency, error)
      if (fault.class === 'transient' && immediate < this.runtime.settings.failures.immediate && !along.stops())
        return this.#give(standing, given, along, immediate + 1)
      if (fault.class === 'transient') throw this.#faults.told(error)
      if (sound.length > 1) return await this.#oneByOne(standing, sound, along)
      await this.#failed(standing, sound[0]!, this.#failureOf(sound[0]!, error))
      return 0
    }
  }

  async #oneByOne(standing: Standing, letters: readonly FullLetter[], along: Pick<Along, 'stops'>): Promise<number> {
    const stopped = new Set<string>()
    let handled = 0
    for (const letter of letters) {
      if (along.stops()) break
      if (letter.queue !== null && stopped.has(letter.queue)) continue
      const one = await this.#alone(standing, letter, along)
      handled += one
      if (one === 0 && letter.queue !== null) stopped.add(letter.queue)
    }
    return handled
  }

  async #alone(standing: Standing, letter: FullLetter, along: Pick<Along, 'stops'>): Promise<number> {
    if (!this.#watched.isOn(standing.position)) return this.#handle(standing, [letter], along)
    const refused = this.#watched.refused(letter, this.worked.clock.now())
    if (refused) await this.#failed(standing, letter, refused)
    else await this.#watched.begin(letter)
    try {
      return refused ? 0 : await this.#handle(standing, [letter], along)
    } finally {
      await this.#watched.end()
    }
  }

  /** The letter's message, decoded anew: the decoder may have been mended. */
  async #read(letter: FullLetter): Promise<{ readonly message: Message } | { readonly failure: LetterFailure }> {
    const { source, draining } = this.runtime
    const { key } = this.worked
    const failure = (error: unknown) => ({ failure: this.#failureOf(letter, error) })
    try {
      const chunk: Chunk | null =
        letter.message === null
          ? await readAgain(this.runtime, key, letter)
          : source.restore(letter.message, { ...key, replay: letter.replay })
      const settled = chunk?.settle ? await chunk.settle(draining) : chunk
      const [message] = settled?.messages ?? []
      if (message?.offset === letter.offset) return { message }
      if (settled?.poison) return failure(settled.poison.error)
    } catch (error) {
      if (!isTidemarkError(error) || error.code === 'DECODER_FAILED' || draining.aborted) throw error
      return failure(error)
    }
    if (draining.aborted) throw new Error('the worker stopped before a letter was decoded')
    return failure(
      new TidemarkError('OUT_OF_RANGE', `the log has ${describePartition(key)} offset ${letter.offset} no more`, {
        place: key,
      }),
    )
  }

  #end(letters: readonly FullLetter[]): Ending {
    const ids = letters.map(({ id }) => id)
    let emptied: readonly string[] = []
    return {
      sql: async (tx) => {
        emptied = await this.runtime.letters.done(tx, this.worked.key, ids)
      },
      committed: () => {
        this.#ended = { letters: this.#ended.letters + ids.length, emptied: [...this.#ended.emptied, ...emptied] }
      },
    }
  }

  async #deliver(
    { position, head, witness }: Standing,
    messages: readonly Message[],
    { committed, ...aside }: Ending,
  ): Promise<void> {
    const chunk: Chunk = {
      from: position,
      next: position,
      messages,
      bytes: 0,
      head,
      ...(witness !== undefined && { witness }),
      raw: () => {
        throw new Error('a message that was set aside is there raw')
      },
      release: () => {},
    }
    await this.deliver(chunk, aside)
    committed?.()
  }

  async #failed(standing: Standing, letter: FullLetter, failure: LetterFailure): Promise<void> {
    const { runtime, worked } = this
    const { key, clock } = worked
    const { afterLastTry } = runtime.settings.failures
    const comesBack = failure.class === 'poison' && (letter.class === 'later' || letter.class === 'behind')
    // One that only came behind another has used up no delay before its own first failure.
    const delays = letter.tries > letter.returns ? letter.returns + 1 : letter.returns
    const delay = comesBack && afterLastTry.policy === 'dead-letter' ? afterLastTry.delaysMs[delays] : undefined
    const dueAt = delay === undefined ? undefined : clock.now() + delay
    const said: LetterFailure = { ...failure, tries: 1, class: dueAt === undefined ? failure.class : 'later' }
    await this.#deliver(standing, [], {
      sql: (tx) => runtime.letters.failed(tx, key, letter.id, said, dueAt),
    })
    runtime.story.setAside(key, {
      offset: letter.offset,
      how: 'set aside again',
      tries: failure.tries,
      reason: failure.error,
    })
  }

  #failureOf(letter: FullLetter, error: unknown): LetterFailure {
    const { errors, failing, settings } = this.runtime
    const now = this.worked.clock.now()
    const told = error instanceof UserFailure ? errors.failed(error) : error
    const { text } = errors.told(told, this.worked.key.partition)
    const isUndecodable = isTidemarkError(error) && error.code === 'UNDECODABLE'
    return {
      class: isUndecodable ? 'undecodable' : 'poison',
      code: error instanceof UserFailure ? codeOf(error, settings.errors) : isTidemarkError(error) ? error.code : null,
      error: redacted(text, failing.redact),
      tries: letter.tries + 1,
      firstAt: letter.firstAt ?? now,
      lastAt: now,
    }
  }
}
