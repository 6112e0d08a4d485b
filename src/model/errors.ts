import { lookAt } from './thrown.js'

/**
 * Every error Tidemark raises on purpose. `code` is stable and meant for programs; the message is meant for people: it
 * says what happened, to which group, stream, partition and offset, and what to do about it.
 *
 * What an error does to the work in hand:
 *
 * - `retry`  the batch is tried again by Temporal, with back-off; nothing is skipped.
 * - `stop`   the partition stops in front of the message and says why; it goes on after a fix, a `resume` or a restart.
 * - `lost`   somebody with a newer fencing token owns the partition; this writer ends and must not try again.
 * - `reopen` nobody newer owns the partition, but its position is another one now: it is opened again, from there.
 * - `exit`   the process can't start; the user has to change something first.
 */
const effects = {
  CONFIG_INVALID: 'exit',
  UNREACHABLE: 'retry',
  AUTH_FAILED: 'stop',
  STREAM_NOT_FOUND: 'stop',
  UNKNOWN_CONSUMER: 'stop',
  OUT_OF_RANGE: 'stop',
  UNDECODABLE: 'stop',
  DECODER_FAILED: 'retry',
  CORRUPT_DATA: 'stop',
  GROUP_ACTIVE: 'stop',
  HANDLER_FAILED: 'retry',
  HANDLER_MISTAKEN: 'stop',
  CHUNK_TIMEOUT: 'retry',
  UNAVAILABLE: 'retry',
  WORKER_LOST: 'retry',
  POISON: 'stop',
  OUTAGE_SUSPECTED: 'stop',
  OUTPUT_FAILED: 'retry',
  PROGRESS_LOST: 'stop',
  POSITION_CHANGED: 'reopen',
  FENCED: 'lost',
  SCHEMA_TOO_NEW: 'exit',
} as const

export const errorCodes: ReadonlySet<string> = new Set(Object.keys(effects))
export type ErrorCode = keyof typeof effects
export type ErrorEffect = (typeof effects)[ErrorCode]

/** Where an error happened; every part is optional because start-up errors know less than batch errors. */
export interface ErrorPlace {
  readonly group?: string
  readonly stream?: string
  readonly partition?: number
  /** Decimal, because errors cross JSON. */
  readonly offset?: string
}

export class TidemarkError extends Error {
  override readonly name = 'TidemarkError'
  readonly code: ErrorCode
  readonly place: ErrorPlace

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; place?: ErrorPlace } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.place = options.place ?? {}
  }

  get effect(): ErrorEffect {
    return effects[this.code]
  }
}

/**
 * A group, a stream or a partition that somebody has named is not there. Naming it again does not help, unlike with a group that is there
 * and does not run.
 */
export class UnknownName extends TidemarkError {
  constructor(message: string, place: ErrorPlace) {
    super('UNKNOWN_CONSUMER', message, { place })
  }
}

/**
 * A failure of what the user has written: a handler, a decoder. Its message names the place; what the user's code threw goes with it, and
 * how much of that is shown is decided where it is reported.
 */
export class UserFailure extends TidemarkError {
  readonly thrown: unknown
  /** The whole text, with what may be shown of the thrown thing. */
  readonly describe: (shown: string) => string

  /**
   * @param what what has failed where: what is shown of the thrown thing follows behind a colon
   * @param toDo a sentence that comes last
   * @param describe the whole text, where it is another one
   */
  constructor(
    code: ErrorCode,
    {
      what,
      toDo,
      thrown,
      place,
      describe = (shown) => `${what}${shown && `: ${shown}`}${toDo ? `. ${toDo}` : ''}`,
    }: {
      readonly what: string
      readonly toDo?: string
      readonly thrown: unknown
      readonly place: ErrorPlace
      readonly describe?: (shown: string) => string
    },
  ) {
    super(code, describe(''), { place })
    this.thrown = thrown
    this.describe = describe
  }
}

/** True for a Tidemark error, also one thrown by a second copy of the package. */
export function isTidemarkError(error: unknown): error is TidemarkError {
  return error instanceof Error && error.name === 'TidemarkError' && 'code' in error
}

/** The text of anything that can be thrown, at most 16,000 characters of it. Never throws. */
export function messageOf(error: unknown): string {
  const { message, name, what } = lookAt(error)
  return message ?? name ?? what
}
