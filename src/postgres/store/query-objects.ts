import { Writable } from 'node:stream'
import type pg from 'pg'

/** What pg takes in place of a text: cursors, COPY streams and queries that are read row by row. */
export interface QueryObject extends pg.Submittable {
  readonly text?: unknown
  readonly cursor?: { readonly text?: unknown; close?(...told: unknown[]): unknown }
  close?(...told: unknown[]): unknown
  on?(event: string, listener: () => void): unknown
  handleError?(error: Error, connection: unknown): void
  handleReadyForQuery?(connection: unknown): void
}

export function isQueryObject(asked: unknown): asked is QueryObject {
  return typeof asked === 'object' && asked !== null && typeof Reflect.get(asked, 'submit') === 'function'
}

export function textOf(asked: QueryObject): string {
  const text = asked.text ?? asked.cursor?.text
  return typeof text === 'string' ? text : ''
}

/** What the connection calls, in the middle of reading its socket. */
const calls = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleCommandComplete',
  'handleEmptyQuery',
  'handleCopyInResponse',
  'handleCopyOutResponse',
  'handleCopyData',
  'handleError',
  'handleReadyForQuery',
] as const

/**
 * Resolves at the object's end, and rejects with its failure. What its listeners and callbacks throw goes to `thrown`: the connection
 * would stop reading in the middle of a message, and the process would end. So it would for an error event that nobody listens to.
 */
export function endOf(asked: QueryObject, thrown: (error: unknown) => void): Promise<void> {
  asked.on?.('error', () => {})
  return new Promise((resolve, reject) => {
    for (const name of calls) {
      const call: unknown = Reflect.get(asked, name)
      if (typeof call !== 'function' && name !== 'handleError' && name !== 'handleReadyForQuery') continue
      const guarded = (...given: unknown[]) => {
        if (name === 'handleError') reject(given[0])
        if (name === 'handleReadyForQuery') resolve()
        try {
          return typeof call === 'function' ? call.apply(asked, given) : undefined
        } catch (error) {
          thrown(error)
        } finally {
          if (name === 'handleError') shut(asked)
        }
      }
      Reflect.set(asked, name, guarded)
    }
    const callback: unknown = Reflect.get(asked, 'callback')
    if (typeof callback === 'function') Reflect.set(asked, 'callback', guardedCall(callback as () => unknown, thrown))
  })
}

/** Whoever writes to a COPY that is over must not meet the connection that it no longer has. */
function shut(asked: unknown): void {
  if (!(asked instanceof Writable) || asked.destroyed) return
  asked._destroy = (error, done) => done(error)
  asked.destroy()
}

export function guardedCall(call: (...given: never[]) => unknown, thrown: (error: unknown) => void) {
  return (...given: unknown[]): void => {
    try {
      Reflect.apply(call, undefined, given)
    } catch (error) {
      thrown(error)
    }
  }
}

/** A cursor that is closed while it waits for its turn does not know of a connection yet. @returns to be called when it does */
export function closesEarly(asked: QueryObject): () => void {
  const cursor = asked.cursor ?? asked
  const close = cursor.close
  if (typeof close !== 'function') return () => {}
  let closed = false
  cursor.close = (...told) => {
    closed = true
    return close.apply(cursor, told)
  }
  return () => {
    cursor.close = close
    if (closed) void close.call(cursor, () => {})
  }
}
