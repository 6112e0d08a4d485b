import { createHash, randomBytes } from 'node:crypto'
import { isTidemarkError, TidemarkError, UserFailure } from '../../src/model/errors.js'
import type { ConsumerSettings } from '../../src/model/settings.js'
import { behind, framesOf, lookAt, type Thrown, unlessItThrows } from '../../src/model/thrown.js'
import type { Log } from '../../src/ports/index.js'
import { type Cleaned, cleaning } from './cleaned.js'
import { isWellKnown } from './shown-code.js'
import { tellingFrames } from './telling-frames.js'

/** Characters of a message that get into Temporal: of one that user code has thrown, and of Tidemark's own, which are made of several. */
const mostOfUsers = 1_000
const mostOfOwn = 3_000
/** Of a message in the worker's log, and how many errors behind an error are named there. */
const mostInLog = 8_000
const mostBehind = 8
/** Errors of one partition that are kept in mind. */
const mostIds = 20
/** Frames that are looked through for those of the person's own code. */
const frames = 20
/** Names that say nothing. pg calls its errors `error`. */
const plain: ReadonlySet<string> = new Set(['Error', 'error', 'TidemarkError', 'UserFailure'])

/** What is said of one error. */
export interface Told {
  /** For Temporal, the log, and everybody else. */
  readonly text: string
  /** Tells one kind of error from another, whatever their messages say. */
  readonly kind: string
  /** For the log alone: the ID, where the error was thrown, its class, and its causes. */
  readonly details: object
  readonly errorId?: string
  /** The text says which partition it is about. */
  readonly namesPlace: boolean
  /** The details are to be in the log, and are not yet. */
  logOwes: boolean
}

/**
 * Decides what is said of errors: to Temporal, by the consumer's option `errors`, and to the worker's log. Whatever was thrown, it takes
 * no longer than for a short text.
 */
export class ErrorReports {
  readonly #cleaned: Cleaned
  readonly #told = new WeakMap<object, Told>()
  /** IDs of a partition's errors by what they say, as a digest: messages may be long. */
  readonly #ids = new Map<number, Map<string, string>>()

  constructor(
    private readonly settings: Pick<ConsumerSettings, 'group' | 'stream' | 'errors'>,
    secrets: readonly string[],
    private readonly log: Log,
  ) {
    this.#cleaned = cleaning(secrets)
  }

  /**
   * What a failure of user code ends as. The thrown thing is no cause of it: causes may reach Temporal. What the log gets of it is kept until
   * the error is reported.
   */
  failed({ code, place, thrown, describe }: UserFailure): TidemarkError {
    const told = this.#tell(thrown, describe, place.partition)
    const error = new TidemarkError(code, told.text, { place })
    this.#told.set(error, told)
    return error
  }

  /**
   * What is to be said of an error. The same error is told alike each time, and errors of a partition that say the same have one ID until
   * `recovered`.
   */
  told(error: unknown, partition?: number): Told {
    const known = isObject(error) ? this.#told.get(error) : undefined
    if (known) return known
    const told = this.#toldAnew(error, partition)
    if (isObject(error)) this.#told.set(error, told)
    return told
  }

  /**
   * What Temporal is told of an error. Tidemark's own texts quote no message and stand as they are; anything else may come from a driver,
   * and counts as a user's error. An error that says more to the log is written there, unless it was before.
   *
   * @param fields for the log
   */
  reason(error: unknown, fields: object): string {
    const told = this.told(error)
    if (told.logOwes) {
      const { group, stream } = this.settings
      told.logOwes = false
      this.log.warn({ group, stream, ...fields, ...told.details }, told.text)
    }
    return told.text
  }

  /** The next error of the partition is another matter. */
  recovered(partition: number): void {
    this.#ids.delete(partition)
  }

  /** A text of Tidemark's own, without secrets that a server has quoted in it. */
  own(text: string): string {
    return this.#cleaned(text, mostOfOwn)
  }

  #toldAnew(error: unknown, partition?: number): Told {
    if (error instanceof UserFailure) return this.#tell(error.thrown, error.describe, error.place.partition)
    if (unlessItThrows(() => isTidemarkError(error))) {
      const { code, message } = error as TidemarkError
      return { text: this.own(message), kind: code, details: {}, namesPlace: false, logOwes: false }
    }
    const told = this.#tell(error, (shown) => shown, partition)
    return { ...told, namesPlace: false, logOwes: this.settings.errors === 'private' }
  }

  #tell(thrown: unknown, describe: (shown: string) => string, partition?: number): Told {
    const look = lookAt(thrown)
    const errorId = this.settings.errors === 'private' ? this.#idOf(look, partition) : undefined
    const text = describe(errorId ? `${hidden(look)}, error id ${errorId}: see the worker's log` : this.#shown(look))
    return {
      text: this.own(text),
      kind: `${look.className ?? look.what} ${look.code ?? ''}`,
      details: { ...(errorId && { errorId }), ...this.#details(thrown, look) },
      ...(errorId && { errorId }),
      namesPlace: true,
      logOwes: true,
    }
  }

  #idOf({ className, code, message, length }: Thrown, partition?: number): string {
    const saying = createHash('sha256').update(`${className}\n${code}\n${length}\n${message}`).digest('base64')
    let ids = partition === undefined ? undefined : this.#ids.get(partition)
    if (!ids || ids.size >= mostIds) ids = new Map()
    const id = ids.get(saying) ?? randomBytes(4).toString('hex')
    if (partition !== undefined) this.#ids.set(partition, ids.set(saying, id))
    return id
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
      at: tellingFrames(framesOf(thrown, look, frames)),
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

function isObject(thing: unknown): thing is object {
  return (typeof thing === 'object' && thing !== null) || typeof thing === 'function'
}
