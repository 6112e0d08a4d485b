import { type Logger, pino } from 'pino'

const lastLinesMayTake = 1_000

/**
 * JSON lines on standard error, so that standard output stays free for results. Level: LOG_LEVEL, default `info`. Lines are written in the
 * background: a reader that stands still holds up no heartbeat. Who ends the process waits for `flushed` first.
 */
export function createLog(level: string = process.env.LOG_LEVEL ?? 'info'): Logger {
  // With 0 characters, the default, it writes as soon, but its `flush` waits for nothing.
  return pino({ name: 'tidemark', level }, survivingLoss(pino.destination({ dest: 2, minLength: 1 })))
}

/** Waits until everything said so far is written, for a second at most: the reader may be gone, or stand still. */
export async function flushed(log: Logger): Promise<void> {
  const written = new Promise<void>((resolve) => log.flush(() => resolve()))
  let patience: NodeJS.Timeout | undefined
  const waited = new Promise<void>((resolve) => {
    patience = setTimeout(resolve, lastLinesMayTake)
  })
  await Promise.race([written, waited])
  clearTimeout(patience)
}

/**
 * Lets a stream be closed by its reader (`tidemark start 2>&1 | head`), or its disk be full: what is written then is lost, and the process
 * goes on. An error of a stream that nobody listens to would end it.
 */
export function survivingLoss<S extends { on(event: 'error', listener: () => void): unknown }>(stream: S): S {
  stream.on('error', () => {})
  return stream
}
