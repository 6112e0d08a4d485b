import { DefaultLogger, type LogLevel, Runtime } from '@temporalio/worker'
import type { Log } from '../ports.js'
import { createLog } from '../worker/log.js'

/** Where a command that keeps running says what it does: readable lines for a terminal, JSON lines for anything else. */
export function cliLog(): Log {
  return createLog()
}

/** Sends Temporal's own log the same way. Its routine news are only for debugging. */
export function quietTemporal(log: Log): void {
  const say: Record<LogLevel, 'debug' | 'info' | 'warn' | 'error'> = {
    TRACE: 'debug',
    DEBUG: 'debug',
    INFO: 'debug',
    WARN: 'warn',
    ERROR: 'error',
  }
  const logger = new DefaultLogger('INFO', ({ level, message, meta }) =>
    log[say[level]]({ ...meta }, `temporal: ${message}`),
  )
  Runtime.install({ logger, telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } } })
}
