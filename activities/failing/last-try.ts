import { TidemarkError } from '../../src/model/errors.js'
import { fenced, positionChanged } from '../../src/model/fenced.js'
import { describePartition } from '../../src/model/partition.js'
import { compareTokens } from '../../src/model/token.js'
import type { Failing } from '../../src/model/trouble.js'
import type {
  Chunk,
  LetterClass,
  LetterFailure,
  Message,
  NewLetter,
  Poison,
  RawMessage,
} from '../../src/ports/index.js'
import type { DeliverChunk } from '../handling/delivery.js'
import type { ConsumerRuntime } from '../runtime.js'
import { letterOf, redacted, skipped, topicRecord } from './new-letter.js'
import type { ParkedKeys } from './parked.js'
import { sweepLetters } from './retention.js'
import type { Troubles } from './troubles.js'
import type { Worked } from './worked.js'

/** A message that has no try left. */
export interface Destiny {
  readonly class: Extract<LetterClass, 'poison' | 'crash' | 'undecodable'>
  readonly failing: Failing
  readonly told: TidemarkError
}

/** What becomes of a message after its last try: what the consumer's `afterLastTry` says. */
export class LastTry {
  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly worked: Worked,
    private readonly troubles: Troubles,
    private readonly parked: ParkedKeys,
    private readonly deliver: DeliverChunk,
  ) {}

  /**
   * Sets the message aside, with what is in its piece behind other messages, and moves progress past it.
   *
   * @param piece of which nothing else is left to be handled
   * @throws TidemarkError POISON or OUTAGE_SUSPECTED where the partition stops at it, POSITION_CHANGED where it was paused
   */
  async come(piece: Chunk, message: Message, behind: readonly NewLetter[], destiny: Destiny): Promise<void> {
    const raw = piece.raw(message)
    await this.#aside(piece, raw, this.parked.queueOf(message), behind, destiny)
  }

  /** Returns whether it was set aside. */
  async undecodable({ error, raw, next }: Poison, position: bigint, head: bigint): Promise<boolean> {
    const { afterLastTry } = this.runtime.settings.failures
    // As it has always been: the error itself says what to do.
    if (afterLastTry.policy === 'block' || raw === null) return false
    const now = this.worked.clock.now()
    const { text } = this.runtime.errors.told(error, this.worked.key.partition)
    const shown = redacted(text, this.runtime.failing.redact)
    const failing: Failing = {
      position: String(raw.offset),
      tries: 1,
      crashes: 0,
      firstAt: now,
      lastAt: now,
      code: error.code,
      first: shown,
      last: shown,
    }
    const nothing = { from: position, next, messages: [], bytes: 0, head, raw: () => raw, release: () => {} }
    await this.#aside(nothing, raw, this.parked.queueOf({ keyBytes: raw.key }), [], {
      class: 'undecodable',
      failing,
      told: error,
    })
    return true
  }

  /** A chunk of a plain handler has failed to the last, and nobody knows at which message. */
  async cannotTell(messages: readonly Message[], { failing, told }: Destiny): Promise<TidemarkError> {
    await this.troubles.note({ failing })
    const [first, last] = [messages[0]!.offset, messages.at(-1)!.offset]
    return new TidemarkError(
      'POISON',
      `${told.message}. Tidemark does not know which of the messages ${first} to ${last} it is: let the handler throw PartialFailure, or set isolate: true where it may be run again`,
      { place: told.place },
    )
  }

  /** @throws TidemarkError POSITION_CHANGED where there is none: the partition is paused then */
  async requireRoom(letters: readonly NewLetter[]): Promise<void> {
    const { key } = this.worked
    let { why, warning } = this.parked.full(letters)
    if (why !== null) {
      // Messages that are there already and come again after a reset are no more than before.
      const [more] = await Promise.all([this.#newOf(letters), this.parked.load()])
      ;({ why, warning } = this.parked.full(more))
    }
    if (warning !== null) this.runtime.log.warn(key, `${describePartition(key)}: ${warning}`)
    if (why !== null) await this.#pause(`${why}: redrive or discard them with 'tidemark dead-letters', then resume`)
  }

  /** Those that are not among the letters yet. */
  async #newOf(letters: readonly NewLetter[]): Promise<readonly NewLetter[]> {
    const { group, stream, partition } = this.worked.key
    const offsets = letters.map(({ message }) => message.offset)
    const known = await this.runtime.letters.list(
      { group, stream, partitions: [partition], offsets },
      { limit: letters.length },
    )
    const there = new Set(known.map(({ offset }) => offset))
    return letters.filter(({ message }) => !there.has(message.offset))
  }

  async #aside(
    piece: Chunk,
    raw: RawMessage,
    queue: string | null,
    behind: readonly NewLetter[],
    { class: kind, failing, told }: Destiny,
  ): Promise<void> {
    const { runtime, worked, troubles } = this
    const { key, replay, clock } = worked
    const { failures } = runtime.settings
    const { afterLastTry } = failures
    // The same message again, after a person has resumed the partition, is no other one.
    const inARow = troubles.inARow + (troubles.stoppedAt === failing.position ? 0 : 1)
    const noteStop = () =>
      troubles.note({ failing: { ...failing, stoppedAfter: failing.crashes }, inARow, stoppedAt: failing.position })
    const stop = async (code: 'POISON' | 'OUTAGE_SUSPECTED', text: string) => {
      await noteStop()
      throw new TidemarkError(code, text, { place: told.place })
    }
    if (failures.outageAfter !== null && inARow >= failures.outageAfter && afterLastTry.policy !== 'block')
      await stop(
        'OUTAGE_SUSPECTED',
        `${told.message}. It is the ${inARow}th message in a row at its last try, with none handled between them, so this looks like an outage and no more are set aside. ` +
          `When what the handler needs is there again, resume: 'tidemark resume --group ${key.group} --stream ${key.stream} --partition ${key.partition}'. Where the messages themselves are bad, set outageAfter to a larger number, or to false`,
      )
    if (afterLastTry.policy === 'block') await stop('POISON', told.message)
    if (afterLastTry.policy === 'pause') {
      await noteStop()
      await this.#pause(told.message)
    }
    const failure: LetterFailure = {
      class: kind,
      code: failing.code,
      error: failing.last,
      tries: failing.tries,
      firstAt: failing.firstAt,
      lastAt: failing.lastAt,
    }
    const letters: NewLetter[] = [...behind]
    if (afterLastTry.policy === 'skip') letters.unshift(skipped(raw, replay, failure))
    if (afterLastTry.policy === 'dead-letter') {
      const [delay] = kind === 'poison' ? afterLastTry.delaysMs : []
      const said = delay === undefined ? failure : { ...failure, class: 'later' as const }
      letters.unshift(
        letterOf(raw, replay, queue, said, afterLastTry, delay === undefined ? undefined : clock.now() + delay),
      )
    }
    if (afterLastTry.policy === 'dead-letter') await this.requireRoom(letters)
    const record = afterLastTry.policy === 'topic' ? topicRecord(afterLastTry.topic, key, raw, failure) : null
    const isPart = runtime.output?.transactions !== undefined
    if (record && !isPart) await runtime.letterTopic!.send([record])
    await this.deliver(
      { ...piece, messages: [] },
      {
        ...(letters.length > 0 && { sql: (tx) => runtime.letters.add(tx, key, letters) }),
        ...(record && isPart && { records: [record] }),
      },
    )
    this.parked.added(letters)
    await troubles.note({ failing: undefined, suspect: undefined, inARow, stoppedAt: undefined })
    const what = { 'dead-letter': 'set aside', skip: 'skipped', topic: 'written to the topic of dead letters' }
    void sweepLetters(runtime)
    runtime.story.setAside(key, {
      offset: raw.offset,
      how: what[afterLastTry.policy as keyof typeof what],
      tries: failing.tries,
      reason: told.message,
    })
  }

  /** Pauses the partition, as a person would: only a person ends that. */
  async #pause(why: string): Promise<never> {
    const { key, token } = this.worked
    const { group, stream, partition } = key
    // No token guards the record: a worker that was frozen must not pause what another one has by now.
    const progress = await this.runtime.progress.read(key)
    if (progress && compareTokens(progress.token, token) > 0) throw fenced(key, token)
    const pause = { by: 'tidemark', why: why.slice(0, 1_000), partitions: [partition] }
    await this.runtime.records.pause({ group, stream }, pause)
    throw positionChanged(key, `is paused: ${why}`)
  }
}
