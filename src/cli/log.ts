import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import { TidemarkError } from '../model/errors.js'
import { createLog, survivingLoss } from '../worker/log.js'

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/**
 * Where a command that keeps running says what it does, always on standard error: readable lines for a terminal, JSON lines
 * for anything else, and with `json`.
 *
 * @throws TidemarkError CONFIG_INVALID for a LOG_LEVEL that is none
 */
export function cliLog(
  { json = false }: { readonly json?: boolean } = {},
  env: NodeJS.ProcessEnv = process.env,
): Logger {
  const level = env.LOG_LEVEL || 'info'
  if (!levels.includes(level))
    throw new TidemarkError('CONFIG_INVALID', `LOG_LEVEL is '${level}'; use one of ${levels.join(', ')}`)
  if (json || !process.stderr.isTTY) return createLog(level)
  const lines = pretty({
    // What is said right before a crash must not be lost.
    destination: survivingLoss(pino.destination({ dest: 2, sync: true })),
    colorize: !env.NO_COLOR,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname,name',
    singleLine: true,
  })
  return pino({ name: 'tidemark', level }, lines)
}
