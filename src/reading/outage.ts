import { isTidemarkError, messageOf } from '../model/errors.js'
import { pauseFor } from '../model/pause.js'
import type { Log } from '../ports/index.js'
import { pauseAfter } from './backoff.js'

/** An outage that lasts is mentioned again after so long, ms. */
const mentionAgainAfter = 60_000

interface Trouble {
  readonly since: number
  /** Failures in a row. */
  failures: number
  /** When each kind of error was last mentioned. */
  readonly mentioned: Map<string, number>
}

/**
 * The good and bad times of one thing that is retried until it works.
 *
 * - `working`      nothing has failed since the last success; the first failure is logged
 * - `interrupted`  it fails: the pauses grow, and each kind of error is logged at most once a minute; the first success is logged
 */
export class Outage {
  /** Null while `working`. */
  #trouble: Trouble | null = null

  constructor(
    private readonly log: Log,
    private readonly fields: object,
    /** What does not work meanwhile, for people: `reading orders[3]`. */
    private readonly what: string,
    private readonly options: {
      /** What people should know about it: `nothing is lost`. */
      readonly note?: string
      /** Milliseconds since any fixed moment. */
      readonly now?: () => number
    } = {},
  ) {}

  get interrupted(): boolean {
    return this.#trouble !== null
  }

  /**
   * Notes a failure, and returns the pause before the next try, ms.
   *
   * @param at where it was, for the log, when that is not the same each time
   */
  failed(error: unknown, at: object = {}): number {
    this.#trouble ??= { since: this.#now(), failures: 0, mentioned: new Map() }
    this.#trouble.failures++
    this.#mention(error, at, this.#trouble)
    return pauseAfter(this.#trouble.failures)
  }

  /** Notes a failure and waits until it is time for the next try, or until `signal` aborts. Never rejects. */
  async pause(error: unknown, signal: AbortSignal): Promise<void> {
    await pauseFor(this.failed(error), signal)
  }

  /** Notes a success, which ends the outage. */
  worked(): void {
    if (!this.#trouble) return
    const { failures } = this.#trouble
    this.#trouble = null
    this.log.info({ ...this.fields, failures }, `${this.what} goes on`)
  }

  #mention(error: unknown, at: object, { since, failures, mentioned }: Trouble): void {
    // A wrong password is another matter than the outage that it was noticed after.
    const kind = kindOf(error)
    const now = this.#now()
    const last = mentioned.get(kind)
    if (last !== undefined && now - last < mentionAgainAfter) return
    mentioned.set(kind, now)
    const { note } = this.options
    const lasting = last === undefined ? '' : ` for ${Math.round((now - since) / 1000)} s`
    this.log.warn(
      { ...this.fields, ...at, error: messageOf(error), ...(failures > 1 && { failures }) },
      `${this.what} is interrupted${lasting}; trying again${note ? `. ${note}` : ''}`,
    )
  }

  #now(): number {
    return this.options.now?.() ?? performance.now()
  }
}

/** Not the message, which may be different each time. */
function kindOf(error: unknown): string {
  if (isTidemarkError(error)) return error.code
  if (!(error instanceof Error)) return typeof error
  return `${error.name} ${Reflect.get(error, 'code') ?? ''}`
}
