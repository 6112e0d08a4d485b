/*
 * What is known of the message that a partition can't get past. It is kept beside progress, in the database that the handlers write to,
 * so that a deploy, a crash or another worker uses up none of the message's tries. It is about one position of one replay: where progress
 * is elsewhere by now, it is over.
 *
 * Times are Temporal's, in milliseconds since 1970: workers' clocks need not agree.
 */

/** A message that its handler fails at. */
export interface Failing {
  /** Decimal. */
  readonly position: string
  /** Messages of the chunk that failed, where nobody knows which of them it is: this is its first one. Absent: the message was alone. */
  readonly among?: number
  /** Times that the handler was given the message and failed. */
  readonly tries: number
  /** Workers that were lost while they had the message alone in hand. They are among the tries, but none of `retry.attempts`. */
  readonly crashes: number
  /** The crashes at which the partition was stopped for it: a person who resumes it has it tried once more. */
  readonly stoppedAfter?: number
  readonly firstAt: number
  readonly lastAt: number
  /** The last failure. */
  readonly code: string
  /** What may be shown of the first and of the last failure; at most 1,000 characters. */
  readonly first: string
  readonly last: string
}

/** A stretch in which workers were lost. Its chunks are noted before the handler gets them, until it is behind. */
export interface Suspect {
  /** Decimal: the position behind the stretch. */
  readonly until: string
  /** The chunk in hand, positions in decimal; absent where none is. */
  readonly inHand?: { readonly from: string; readonly to: string; readonly messages: number }
  /** When the last worker was lost with a chunk of it in hand. */
  readonly lostAt?: number
  /** Workers that were lost with a chunk of the stretch in hand. */
  readonly crashes: number
  /** Chunks of the stretch that took longer than `chunkTimeout`. */
  readonly timeouts?: number
  /** Most messages of a chunk in the stretch. */
  readonly size?: number
}

/** A message that was set aside and is handled again where workers were lost. */
export interface LetterInHand {
  readonly id: string
  /** Decimal. */
  readonly offset: string
  /** Workers that were lost while they had it in hand. */
  readonly losses: number
  /** The handler has it; absent after a loss. */
  readonly inHand?: true
}

export interface Trouble {
  readonly replay: number
  readonly failing?: Failing
  readonly suspect?: Suspect
  readonly letter?: LetterInHand
  /** Messages behind the failing one that are done already, in order: `[from, to)`, decimal. */
  readonly done?: readonly (readonly [from: string, to: string])[]
  /** How many messages in a row came to their last try, with none handled between them. */
  readonly inARow?: number
  /** The message among them that the partition has stopped at. Decimal. */
  readonly stoppedAt?: string
}
