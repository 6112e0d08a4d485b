import type { DedupeRule } from '../../src/config/parse.js'
import { isTidemarkError, messageOf, TidemarkError, UserFailure } from '../../src/model/errors.js'
import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Inbox, Log, Message, SqlProgressLog, Transaction } from '../../src/ports/index.js'
import { textOf } from '../../src/ports/text.js'

/** How often a consumer looks for keys whose time is over, ms. */
const sweepEvery = 60_000
/** Keys deleted by one statement, so that each is a short transaction. */
const sweepPiece = 5_000

/**
 * Leaves out messages whose key came before. The inbox takes a key in the transaction of the handler that gets the message, so
 * both happen or neither.
 */
export class Deduplicator {
  /** Messages left out since the worker began. */
  #dropped = 0
  #sweptAt = Number.NEGATIVE_INFINITY

  readonly #inbox: Inbox

  /** @throws TidemarkError CONFIG_INVALID where progress is kept without an inbox */
  constructor(
    private readonly rule: DedupeRule,
    { inbox }: Pick<SqlProgressLog, 'inbox'>,
    private readonly log: Log,
    private readonly draining: AbortSignal,
  ) {
    if (!inbox)
      throw new TidemarkError(
        'CONFIG_INVALID',
        'dedupe needs a handler that writes to a database, where its keys are kept; the transactions of this one are elsewhere',
      )
    this.#inbox = inbox
  }

  /**
   * The messages that the handler is to get, in their order. Of several with one key in a chunk it is the first.
   *
   * @throws UserFailure HANDLER_FAILED when the key function throws or returns what is no key, or the inbox refuses a key: one message may
   *   be the cause, and has its tries; whatever else the inbox throws
   */
  async admit(
    tx: Transaction,
    place: PartitionKey & { readonly replay: number },
    messages: readonly Message[],
  ): Promise<readonly Message[]> {
    const { keys, offsets, dropped } = this.#keysOf(place, messages)
    if (keys.length > 0) {
      const { retentionMs } = this.rule
      const options = { replay: place.replay, retentionMs }
      const known = await this.#inbox.admit(tx, place, { keys, offsets }, options).catch((error) => {
        throw isTidemarkError(error) ? error : this.#threw(place, messages[0]!, 'no keys written', error)
      })
      for (const index of known) dropped.add(offsets[index]!)
    }
    void this.#sweep()
    if (dropped.size === 0) return messages
    this.#dropped += dropped.size
    const { group, stream, partition } = place
    this.log.debug(
      { group, stream, partition, dropped: dropped.size, droppedSinceStart: this.#dropped },
      'left out messages whose key was handled before',
    )
    return messages.filter(({ offset }) => !dropped.has(offset))
  }

  #keysOf(place: PartitionKey, messages: readonly Message[]) {
    const seen = new Set<string>()
    const offsets: bigint[] = []
    const dropped = new Set<bigint>()
    for (const message of messages) {
      const key = this.#keyOf(place, message)
      if (key === null) continue
      if (seen.has(key)) {
        dropped.add(message.offset)
        continue
      }
      seen.add(key)
      offsets.push(message.offset)
    }
    return { keys: [...seen], offsets, dropped }
  }

  #keyOf(place: PartitionKey, message: Message): string | null {
    let key: unknown
    try {
      key = this.rule.key(message)
    } catch (error) {
      throw this.#threw(place, message, 'its key function threw', error)
    }
    if (typeof key === 'string' || key === null) return key
    if (key instanceof Uint8Array) return textOf(Buffer.from(key.buffer, key.byteOffset, key.byteLength))
    const what =
      key instanceof Promise ? 'a promise' : key === undefined ? 'undefined' : `a value of type ${typeof key}`
    const wanted = 'text or bytes, or null for a message without a key'
    throw this.#failed(place, message, `its key function returned ${what}; it must return ${wanted}`)
  }

  /** Written to the log here, since it is nothing that the handler did. */
  #failed(place: PartitionKey, { offset }: Message, what: string): UserFailure {
    const { group, stream, partition } = place
    const text = `dedupe of group ${group} failed at ${describePartition(place)} offset ${offset}: ${what}`
    this.log.warn({ group, stream, partition }, text)
    return new UserFailure('HANDLER_FAILED', {
      what: '',
      thrown: new TypeError(what),
      place: { group, stream, partition, offset: String(offset) },
      describe: () => text,
    })
  }

  #threw(place: PartitionKey, { offset }: Message, what: string, thrown: unknown): UserFailure {
    const { group, stream, partition } = place
    return new UserFailure('HANDLER_FAILED', {
      what: `dedupe of group ${group} failed at ${describePartition(place)} offset ${offset}: ${what}`,
      thrown,
      place: { group, stream, partition, offset: String(offset) },
    })
  }

  /** Deletes old keys beside the work, in small pieces. Nobody waits for it, and what it can't do now it does later. */
  async #sweep(): Promise<void> {
    const now = performance.now()
    if (now - this.#sweptAt < sweepEvery) return
    this.#sweptAt = now
    try {
      let deleted = 0
      for (let piece = sweepPiece; piece === sweepPiece && !this.draining.aborted; deleted += piece)
        piece = await this.#inbox.expire(sweepPiece)
      if (deleted > 0) this.log.debug({ deleted }, 'deleted inbox keys whose retention is over')
    } catch (error) {
      this.log.warn({ error: messageOf(error) }, 'could not delete old inbox keys; trying again in a minute')
    }
  }
}
