/**
 * Every error Tidemark raises on purpose. `code` is stable and meant for programs; the message is meant for people: it
 * says what happened, to which group, stream, partition and offset, and what to do about it.
 *
 * What an error does to the work in hand:
 *
 * - `retry`  the batch is tried again by Temporal, with back-off; nothing is skipped.
 * - `stop`   the partition stops in front of the message and says why; it goes on after a fix, a `resume` or a restart.
 * - `lost`   somebody with a newer fencing token owns the partition; this writer ends and must not try again.
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
  CORRUPT_DATA: 'stop',
  GROUP_ACTIVE: 'stop',
  HANDLER_FAILED: 'retry',
  CHUNK_TIMEOUT: 'retry',
  OUTPUT_FAILED: 'retry',
  FENCED: 'lost',
  SCHEMA_TOO_NEW: 'exit',
} as const

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

/** True for a Tidemark error, also one thrown by a second copy of the package. */
export function isTidemarkError(error: unknown): error is TidemarkError {
  return error instanceof Error && error.name === 'TidemarkError' && 'code' in error
}

/** The text of anything that can be thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message || error.name : String(error)
}
