import { pino } from 'pino'
import type { Log } from '../ports/index.js'

/** JSON lines on standard error, so that standard output stays free for results. Level: LOG_LEVEL, default `info`. */
export function createLog(level: string = process.env.LOG_LEVEL ?? 'info'): Log {
  return pino({ name: 'tidemark', level }, pino.destination(2))
}
