import { isTidemarkError, messageOf } from '../model/errors.js'

const failed = 1
/** Exit code for a command line or a config that has to be corrected first: trying again is no use. */
export const wrongUse = 2

/** For the help of every command. */
export const exitCodes = `Exit codes: 0 done, ${failed} failed, ${wrongUse} wrong use or wrong config.`

/**
 * Ends the process for an error. A user's mistake is a sentence, never a stack trace. The stack of a bug of Tidemark's, which
 * somebody has to find, is shown when TIDEMARK_DEBUG is set.
 */
export function fail(error: unknown): never {
  const known = isTidemarkError(error)
  const bug = !known && error instanceof Error && process.env.TIDEMARK_DEBUG
  process.stderr.write(`tidemark: ${bug ? error.stack : messageOf(error)}\n`)
  process.exit(known && error.code === 'CONFIG_INVALID' ? wrongUse : failed)
}
