import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'

/** Several failures as one, so that nobody installs one program only to learn of the next. */
export function oneOf(failures: readonly unknown[]): unknown {
  if (failures.length === 1) return failures[0]
  // A part that does not start is worse news than one that is not there.
  const broken = failures.some((error) => !isTidemarkError(error) || error.code !== 'CONFIG_INVALID')
  const cause = new AggregateError(failures)
  return new TidemarkError(broken ? 'UNREACHABLE' : 'CONFIG_INVALID', failures.map(messageOf).join('\n'), { cause })
}
