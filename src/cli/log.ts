import { DefaultLogger, type LogLevel, type LogMetadata, Runtime } from '@temporalio/worker'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { messageOf, TidemarkError } from '../model/errors.js'
import type { Log } from '../ports/index.js'
import { createLog } from '../worker/log.js'

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/**
 * Where a command that keeps running says what it does, always on standard error: readable lines for a terminal, JSON lines
 * for anything else.
 *
 * @throws TidemarkError CONFIG_INVALID for a LOG_LEVEL that is none
 */
export function cliLog(env: NodeJS.ProcessEnv = process.env): Log {
  const level = env.LOG_LEVEL || 'info'
  if (!levels.includes(level))
    throw new TidemarkError('CONFIG_INVALID', `LOG_LEVEL is '${level}'; use one of ${levels.join(', ')}`)
  if (!process.stderr.isTTY) return createLog(level)
  const lines = pretty({
    destination: 2,
    // What is said right before a crash must not be lost.
    sync: true,
    colorize: !env.NO_COLOR,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname,name',
    singleLine: true,
  })
  return pino({ name: 'tidemark', level }, lines)
}

/** Sends Temporal's own log the same way. Its routine news are only for debugging. */
export function quietTemporal(log: Log): void {
  const logger = new DefaultLogger('INFO', ({ level, message, meta }) => {
    const line = translate(level, message, meta ?? {})
    log[line.level](line.fields, line.text)
  })
  Runtime.install({ logger, telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } } })
}

interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly text: string
}

const levelOf: Record<LogLevel, Line['level']> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
}

/** The SDK's news in words that mean something to somebody who knows consumers, not workers. */
export function translate(level: LogLevel, message: string, meta: LogMetadata): Line {
  // By design: workflows have a worker of their own.
  if (/^No (workflows|activities) registered/.test(message)) return { level: 'debug', fields: {}, text: message }
  const { error, workflowId, activityType, attempt } = meta
  if (message === 'Activity failed')
    return {
      level: levelOf[level],
      fields: { workflowId, attempt },
      text: `${activityType} failed, try ${attempt}: ${messageOf(error)}`,
    }
  // pino shows an Error only under `err`, and then with the stack.
  const fields = error === undefined ? meta : { ...meta, error: messageOf(error) }
  return { level: levelOf[level], fields, text: `temporal: ${message}` }
}
