import { isTidemarkError, messageOf } from '../model/errors.js'

/**
 * Ends the process for an error. A user's mistake is a sentence, never a stack trace; a bug of Tidemark's keeps its stack,
 * since somebody has to find it.
 */
export function fail(error: unknown): never {
  const known = isTidemarkError(error)
  const bug = !known && error instanceof Error && process.env.TIDEMARK_DEBUG
  process.stderr.write(`tidemark: ${bug ? error.stack : messageOf(error)}\n`)
  process.exit(known && error.code === 'CONFIG_INVALID' ? 2 : 1)
}
