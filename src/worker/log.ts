import { pino } from 'pino'
import type { Log } from '../ports/index.js'

/** JSON lines on standard error, so that standard output stays free for results. Level: LOG_LEVEL, default `info`. */
export function createLog(level: string = process.env.LOG_LEVEL ?? 'info'): Log {
  return pino({ name: 'tidemark', level }, survivingLoss(pino.destination(2)))
}

/**
 * Lets a stream be closed by its reader (`tidemark start 2>&1 | head`), or its disk be full: what is written then is lost, and the process
 * goes on. An error of a stream that nobody listens to would end it.
 */
export function survivingLoss<S extends { on(event: 'error', listener: () => void): unknown }>(stream: S): S {
  stream.on('error', () => {})
  return stream
}
