/* What every part gets of the worker it lives in. */

/** What a client may use of the worker it lives in. */
export interface ConnectContext {
  readonly log: Log
  /** Aborted when the worker gives up connecting or ends. */
  readonly signal: AbortSignal
  /** Of a source: what it reads has its values as bytes (null where there is none), whatever its `value` option says. Default: decoded. */
  readonly values?: 'bytes'
}

/** A structured log; the worker passes pino. The object comes first so that a message is never lost among fields. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
