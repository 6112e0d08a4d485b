import type { GroupName, PartitionKey } from '../model/partition.js'
import type { RawMessage } from './source.js'
import type { Transaction } from './transaction.js'

/*
 * Dead letters: messages that were set aside, with all that is needed to handle them later. They are kept in the database that the
 * handlers write to, and change in the transactions of the partition's owner.
 *
 * Letters of one key are a queue: the first one failed, and the others came behind it and were not tried, so that the key keeps its order. As
 * long as a queue holds letters, later messages of its key go there. A letter that keeps no order has no queue.
 */

/**
 * - `waiting`   for a person
 * - `due`       to be handled: a person has asked for it, or its time has come
 * - `leaving`   to be discarded: a person has asked for it
 * - `redriven`, `discarded`, `skipped`: done with, and kept without its content until its retention is over
 */
export type LetterState = 'waiting' | 'due' | 'leaving' | 'redriven' | 'discarded' | 'skipped'

/**
 * - `poison`      its handler failed at it until its last try
 * - `undecodable` its value can't be decoded
 * - `crash`       workers were lost at it
 * - `later`       its policy brings it back at a time
 * - `behind`      a message of its key was set aside before
 */
export type LetterClass = 'poison' | 'undecodable' | 'crash' | 'later' | 'behind'

/** Why a message was set aside. */
export interface LetterFailure {
  readonly class: LetterClass
  /** The error's code, or the class of what was thrown; null for one that was not tried. */
  readonly code: string | null
  /** What may be shown of the error, at most 1,000 characters. Empty for one that was not tried. */
  readonly error: string
  readonly tries: number
  /** When it failed first and last, Temporal's time in ms since 1970; null for one that was not tried. */
  readonly firstAt: number | null
  readonly lastAt: number | null
}

export interface NewLetter extends LetterFailure {
  readonly replay: number
  readonly message: RawMessage
  /** `queueOf` its key; null for a letter that keeps no order. */
  readonly queue: string | null
  /** Without its content: where the log keeps it, or nobody may. Such a letter is read from the log again. */
  readonly reference?: boolean
  readonly state: 'waiting' | 'skipped'
  /** When it is to be handled again, Temporal's time in ms since 1970. */
  readonly dueAt?: number
}

export interface Letter extends LetterFailure {
  readonly id: string
  readonly key: PartitionKey
  readonly replay: number
  readonly offset: bigint
  readonly queue: string | null
  readonly state: LetterState
  readonly reference: boolean
  /** The message's key, its first 1,024 bytes at most; null where it has none, or is not kept. */
  readonly messageKey: Buffer | null
  /** Bytes of key and value. */
  readonly bytes: number
  readonly dueAt: number | null
  /** When it was set aside, by the database's clock. */
  readonly at: Date
  /** Who asked last what became of it, and why; null where nobody has. */
  readonly by: string | null
  readonly reason: string | null
  /** How often it has come back by itself, or at a person's request, and failed again. */
  readonly returns: number
  /** A person has replaced the value. */
  readonly corrected: boolean
}

/** A letter with its content: `message` is null where only a reference is kept, or the letter is done with. */
export interface FullLetter extends Letter {
  readonly message: RawMessage | null
}

/** How much of a partition is set aside. */
export interface ParkedQueues {
  /** `queueOf` the keys whose later messages are to be set aside, too. */
  readonly queues: readonly string[]
  /** Letters that are not done with. */
  readonly letters: number
  /** How long ago the oldest of them was set aside, by the database's clock, ms; null where there is none. */
  readonly oldestMs: number | null
  /** When the next letter is to be handled, Temporal's time in ms since 1970: 0 where one is due or leaving; null where there is none. */
  readonly nextDue: number | null
}

export interface LetterFilter {
  readonly group?: string
  readonly stream?: string
  readonly partitions?: readonly number[]
  readonly ids?: readonly string[]
  readonly offsets?: readonly bigint[]
  /** The key as text, as `Message.key`. */
  readonly key?: string
  readonly class?: LetterClass
  readonly code?: string
  /** Set aside so many ms ago at least. */
  readonly olderThanMs?: number
  /** Who asked last what becomes of it. */
  readonly askedBy?: string
  /** Those that are not done with when absent. */
  readonly states?: readonly LetterState[]
}

/** What a person asks for. */
export interface LetterRequest {
  /**
   * `now`: what waits for its time is due at once. `cancel`: what is due, to be discarded, or waits for its time, waits for a person, and so
   * does its queue.
   */
  readonly what: 'redrive' | 'discard' | 'now' | 'cancel'
  readonly by: string
  readonly reason: string
  /** Letters a second that the owner may handle; absent: as fast as it can. */
  readonly perSecond?: number
  /** Only says what the request would mean, and changes nothing. */
  readonly dryRun?: boolean
}

export interface DeadLetters {
  /** Cheap where nothing is set aside. Calls of one turn of the event loop go out together. */
  parked(key: PartitionKey): Promise<ParkedQueues>
  /**
   * Sets messages aside. A message that is there already, of the same replay or not, and not done with, stays as it is; except one
   * that is to be discarded and has come again in a newer replay, which joins its queue anew. A letter joins the
   * state of its queue: it is due where a redrive of the queue is under way, and waits until the same time as the others. Part of a
   * transaction that moves progress past them.
   */
  add(tx: Transaction, key: PartitionKey, letters: readonly NewLetter[]): Promise<void>
  /**
   * Letters to be worked now, with their content, by offset; of each queue from its first letter on and without a gap. Those that are to be
   * discarded hold no place in their queue, and come whatever waits before them. Empty where there is nothing to do. Each may be handled
   * before the next `perSecond` allows another one: the smallest such number of those returned.
   *
   * @param options.bytes of content, for all but the first letter; absent: as the database likes
   */
  due(
    key: PartitionKey,
    options: { readonly now: number; readonly limit: number; readonly bytes?: number },
  ): Promise<{ readonly letters: readonly FullLetter[]; readonly perSecond: number | null }>
  /**
   * Letters were handled, or are to go: part of the transaction with the handler's effects. Their content goes. Throws POSITION_CHANGED
   * where a person has changed one since this client's `due` returned it, or it waits: the transaction is rolled back then.
   *
   * @returns the queues that are empty now
   */
  done(tx: Transaction, key: PartitionKey, ids: readonly string[]): Promise<readonly string[]>

  /**
   * A letter has failed again: it waits for a person, or until `dueAt`, and so does its queue, except for what is to be discarded. Its tries
   * count on, and it keeps the time of its first failure. Part of a transaction of the owner. Throws as `done`.
   */
  failed(tx: Transaction, key: PartitionKey, id: string, failure: LetterFailure, dueAt?: number): Promise<void>

  /** By group, stream, partition and offset; at most `limit`, after the letter `after`. Content is not read. */
  list(filter: LetterFilter, options: { readonly limit: number; readonly after?: string }): Promise<readonly Letter[]>
  /** How many letters a filter means, and of how many queues and partitions. */
  count(filter: LetterFilter): Promise<LetterCount>
  read(id: string): Promise<FullLetter | null>
  /**
   * Notes what a person asks for; the owner does it. A redrive takes whole queues: those of which the filter means a letter, from their first
   * letter on. Discarding takes the letters that the filter means; `followers` says what becomes of those behind a first letter. Letters
   * that are done with are never meant.
   *
   * @returns the letters that are changed, those of whole queues included, and the partitions whose owners have to hear of it
   * @throws TidemarkError CONFIG_INVALID where discarding would leave waiting letters behind, and `followers` does not say what becomes of them
   */
  request(
    filter: LetterFilter,
    request: LetterRequest & { readonly followers?: 'redrive' | 'discard' },
  ): Promise<LetterCount & { readonly owners: readonly PartitionKey[] }>
  /**
   * Puts another value into a letter that is not done with. Returns whether it is there.
   *
   * @throws TidemarkError CONFIG_INVALID for a mere reference
   */
  correct(id: string, value: Buffer | null, by: string, reason: string): Promise<boolean>
  /** Deletes up to `limit` letters of a group that are done with for so long; returns how many. */
  expire(name: GroupName, olderThanMs: number, limit: number): Promise<number>
}

export interface LetterCount {
  readonly letters: number
  readonly queues: number
  readonly partitions: number
  /** Letters that only came behind others. */
  readonly behind: number
}
