import { setTimeout as sleep } from 'node:timers/promises'
import { TidemarkError } from '../model/errors.js'
import { joined } from '../model/signals.js'

interface Closable {
  close(): Promise<unknown>
}

/** Names a part for people: `postgres (host db, port 5432, database bank)`. */
export function placeOf({ kind, describe }: { readonly kind: string; readonly describe: object }): string {
  return `${kind} (${Object.entries(describe)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')})`
}

/**
 * Connects once, within a time limit: a peer may drop packets silently. A connection that arrives too late is closed.
 *
 * @param ms milliseconds
 * @throws TidemarkError UNREACHABLE when the time is over or the signal aborts; else what `work` throws
 */
export async function connectOnce<T extends Closable>(
  what: string,
  work: Promise<T>,
  ms: number,
  signal?: AbortSignal,
): Promise<T> {
  let missed = false
  // A connection that arrives too late is not needed any more.
  work.then((late) => (missed ? late.close() : undefined)).catch(() => {})
  try {
    return await answerWithin(what, work, ms, signal)
  } catch (error) {
    missed = true
    throw error
  }
}

/** The result of `work`, if it comes within `ms`. Otherwise `work` goes on unobserved. Throws as `connectOnce`. */
export async function answerWithin<T>(what: string, work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  const over = new AbortController()
  const either = joined(over.signal, signal)
  const end = sleep(ms, undefined, { signal: either.signal }).then(
    () => {
      throw new TidemarkError('UNREACHABLE', `${what} does not answer: is the address right, is a firewall in between?`)
    },
    () => {
      throw new TidemarkError('UNREACHABLE', `ended before ${what} was connected`)
    },
  )
  end.catch(() => {})
  try {
    return await Promise.race([work, end])
  } finally {
    over.abort()
    either.leave()
  }
}
