import { randomBytes } from 'node:crypto'
import { isTidemarkError, TidemarkError, UserFailure } from '../../src/model/errors.js'
import type { ConsumerSettings } from '../../src/model/settings.js'
import { behind, framesOf, lookAt, type Thrown, unlessItThrows } from '../../src/model/thrown.js'
import type { Log } from '../../src/ports/index.js'
import { type Cleaned, cleaning } from './cleaned.js'
import { isWellKnown } from './shown-code.js'

/** Characters of a message that get into Temporal: of one that user code has thrown, and of Tidemark's own, which are made of several. */
const mostOfUsers = 1_000
const mostOfOwn = 3_000
/** Of a message in the worker's log, and how many errors behind an error are named there. */
const mostInLog = 8_000
const mostBehind = 8
/** Names that say nothing. pg calls its errors `error`. */
const plain: ReadonlySet<string> = new Set(['Error', 'error', 'TidemarkError', 'UserFailure'])

/**
 * Decides what is said of errors: to Temporal, by the consumer's option `errors`, and to the worker's log. Whatever was thrown, it takes
 * no longer than for a short text.
 */
export class ErrorReports {
  readonly #cleaned: Cleaned

  constructor(
    private readonly settings: Pick<ConsumerSettings, 'group' | 'stream' | 'errors'>,
    secrets: readonly string[],
    private readonly log: Log,
  ) {
    this.#cleaned = cleaning(secrets)
  }

  /**
   * What a failure of user code ends as, written to the log once. The thrown thing is no cause of it: causes may reach Temporal.
   *
   * @param fields for the log
   */
  failed({ code, place, thrown, describe }: UserFailure, fields: object = place): TidemarkError {
    return new TidemarkError(code, this.#report(thrown, fields, describe), { place })
  }

  /**
   * What Temporal is told of an error. Tidemark's own texts quote no message and stand as they are; anything else may come from a driver,
   * and counts as a user's error.
   *
   * @param fields for the log, if it is told something that Temporal is not
   */
  reason(error: unknown, fields: object): string {
    if (error instanceof UserFailure) return this.#report(error.thrown, fields, error.describe)
    if (unlessItThrows(() => isTidemarkError(error))) return this.own((error as TidemarkError).message)
    if (this.settings.errors === 'private') return this.#report(error, fields, (shown) => shown)
    return this.#shown(lookAt(error))
  }

  /** A text of Tidemark's own, without secrets that a server has quoted in it. */
  own(text: string): string {
    return this.#cleaned(text, mostOfOwn)
  }

  #report(thrown: unknown, fields: object, describe: (shown: string) => string): string {
    const look = lookAt(thrown)
    const id = this.settings.errors === 'private' ? randomBytes(4).toString('hex') : undefined
    const text = describe(id ? `${hidden(look)}, error id ${id}: see the worker's log` : this.#shown(look))
    const { group, stream } = this.settings
    this.log.warn(
      { group, stream, ...fields, ...(id && { errorId: id }), ...this.#details(thrown, look) },
      this.own(text),
    )
    return this.own(text)
  }

  /** Under `message`. */
  #shown(look: Thrown): string {
    const { what, name, code, message, length, unreadable } = look
    if (unreadable) return 'it threw something whose text cannot be read'
    if (what !== 'an error' && what !== 'an object') {
      if (what === 'text' && length === 0) return "it threw ''"
      const value = this.#cleaned(message ?? what, mostOfUsers, length)
      return what === 'text' ? value : `it threw ${value}`
    }
    if (what === 'an object' && message === null) return 'it threw an object without a message'
    const own = telling(look)
    const known = code === null || name === 'TidemarkError' ? own : `${own ?? 'Error'} (code ${code})`
    const head = known === null ? '' : this.#cleaned(known, 200)
    if (message === null) return `${head || 'Error'}, without a message`
    return `${head && `${head}: `}${this.#cleaned(message, mostOfUsers, length)}`
  }

  /** For the log: what the text does not hold already. */
  #details(thrown: unknown, look: Thrown): object {
    const { at, message, ...known } = this.#described(thrown, look)
    const isShown = this.settings.errors === 'message' && look.length <= mostOfUsers
    const error = { ...known, ...(message !== undefined && !isShown && { message }) }
    const cause: object[] = []
    const seen = new Set<unknown>([thrown])
    for (const queue = [...behind(thrown)]; queue.length > 0 && cause.length < mostBehind; ) {
      const one = queue.shift()
      if (seen.has(one)) continue
      seen.add(one)
      cause.push(this.#described(one, lookAt(one)))
      queue.push(...behind(one))
    }
    return { at, error, ...(cause.length > 0 && { cause }) }
  }

  #described(thrown: unknown, look: Thrown) {
    const { what, className, code, message, length } = look
    return {
      class: this.#cleaned(telling(look) ?? className ?? what, 200),
      ...(code !== null && { code: this.#cleaned(code, 200) }),
      message: message === null ? undefined : this.#cleaned(message, mostInLog, length),
      at: framesOf(thrown, look),
    }
  }
}

/** What an error calls itself, or else its class; null where that says nothing. */
function telling({ name, className }: Thrown): string | null {
  return [name, className].find((one) => one !== null && !plain.has(one)) ?? null
}

/** Under `private`: the class as the code has it and a code that holds no data. */
function hidden({ what, className, code }: Thrown): string {
  const known = className ?? (what === 'an error' ? 'Error' : `it threw ${what}`)
  return code !== null && isWellKnown(code) ? `${known} (code ${code})` : known
}
