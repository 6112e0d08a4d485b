import { isTidemarkError, TidemarkError, UserFailure } from '../../src/model/errors.js'
import { describePartition } from '../../src/model/partition.js'
import type { ConsumerSettings } from '../../src/model/settings.js'
import { lookAt } from '../../src/model/thrown.js'
import { isWellKnown } from '../errors/shown-code.js'
import type { ConsumerRuntime } from '../runtime.js'
import { type Fault, faultOf } from './classify.js'
import { nameOf, type Worked } from './worked.js'

/** A failure of the user's code: what it has thrown, or a call that took too long. */
export type FailureOfUser = UserFailure | TidemarkError

/** What is thought and said of a partition's failures. */
export class Faults {
  constructor(
    private readonly runtime: ConsumerRuntime,
    private readonly worked: Worked,
  ) {}

  /** False for what concerns ownership, the log, or a worker that stops. */
  isOfUser(error: unknown): error is FailureOfUser {
    if (this.runtime.stopped.aborted) return false
    return error instanceof UserFailure || (isTidemarkError(error) && error.code === 'CHUNK_TIMEOUT')
  }

  of(error: FailureOfUser): Fault {
    // A lost worker has thrown nothing that anybody could classify.
    if (!(error instanceof UserFailure) || error.code === 'WORKER_LOST') return { class: 'retryable' }
    const { failing, errors, log } = this.runtime
    const { key } = this.worked
    return faultOf(error.thrown, failing.classify, (what) => {
      const { text } = errors.told(what, key.partition)
      log.warn(key, `'classify' failed, so the error counts as retryable: ${text}`)
    })
  }

  /** What the handler needs is away: the partition waits for it from now on. Returns what to throw. */
  unavailable(dependency: string, error: FailureOfUser): TidemarkError {
    const { circuits, errors } = this.runtime
    const { key } = this.worked
    const { text } = errors.told(error, key.partition)
    circuits.failed(nameOf(key), dependency)
    const what = `${describePartition(key)} waits for ${dependency}: ${text}`
    return new TidemarkError('UNAVAILABLE', what, { place: error.place })
  }

  /** What Temporal and the log are told of it. */
  told(error: FailureOfUser, tries?: number): TidemarkError {
    if (!(error instanceof UserFailure)) return error
    const { attempts } = this.runtime.settings.failures
    const count = tries === undefined ? '' : `. Try ${tries}${attempts === null ? '' : ` of ${attempts}`}`
    // What the driver says may be a sentence.
    const counting = (text: string) => (count === '' ? text : `${text.replace(/\.$/, '')}${count}`)
    const { code, place, thrown, describe } = error
    const counted = new UserFailure(code, {
      what: '',
      thrown,
      place,
      describe: (shown) => counting(describe(shown)),
    })
    return this.runtime.errors.failed(counted)
  }
}

/**
 * A failure's code for people who look for failures of one kind: that of what was thrown, or its class. Under `errors: 'private'` a code that may
 * hold data is none.
 */
export function codeOf(error: FailureOfUser, errors: ConsumerSettings['errors']): string {
  if (!(error instanceof UserFailure)) return error.code
  const { code, name, className } = lookAt(error.thrown)
  const shown = errors === 'private' ? (code !== null && isWellKnown(code) ? code : className) : (code ?? name)
  return shown ?? error.code
}
