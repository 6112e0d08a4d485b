import { isTidemarkError, messageOf, UnknownName } from '../model/errors.js'

const failed = 1
/** Exit code for a command line or a config that has to be corrected first: trying again is no use. */
export const wrongUse = 2

/** For the help of every command. */
export const exitCodes = `Exit codes: 0 done, ${failed} failed, ${wrongUse} wrong use or wrong config; also for a group, stream or partition that is not there.`

/** Those two of them that an error leads to. */
export function exitCodeOf(error: unknown): number {
  const isWrongUse = error instanceof UnknownName || (isTidemarkError(error) && error.code === 'CONFIG_INVALID')
  return isWrongUse ? wrongUse : failed
}

/**
 * Ends the process for an error. A user's mistake is a sentence, never a stack trace. The stack of a bug of Tidemark's, which
 * somebody has to find, is shown when TIDEMARK_DEBUG is set.
 *
 * @param json whether the command was asked for JSON: then the error is a line of it, on standard error all the same
 */
export function fail(error: unknown, { json = false }: { readonly json?: boolean } = {}): never {
  process.stderr.write(json ? `${JSON.stringify({ error: jsonOf(error) })}\n` : `tidemark: ${textOf(error)}\n`)
  process.exit(exitCodeOf(error))
}

function textOf(error: unknown): string {
  const isBug = !isTidemarkError(error) && error instanceof Error && process.env.TIDEMARK_DEBUG
  return isBug ? (error.stack ?? error.message) : messageOf(error)
}

/** `code` is one of docs/troubleshooting.md; a bug has none. */
function jsonOf(error: unknown) {
  return isTidemarkError(error)
    ? { code: error.code, message: error.message, ...error.place }
    : { code: null, message: textOf(error) }
}
