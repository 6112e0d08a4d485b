import { setTimeout as sleep } from 'node:timers/promises'
import { connectOnce } from '../client/once.js'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import type { Log } from '../ports/index.js'

const firstPause = 250
const longestPause = 3_000

interface Closable {
  close(): Promise<unknown>
}

/**
 * Tries until it works, and says so. An outage at start-up is nothing to end for: in a rolling deploy or after a power cut the
 * parts come up in any order. A wrong password or a missing topic is: waiting does not mend it.
 *
 * @param what for people: `Kafka at 127.0.0.1:9092`
 * @throws TidemarkError what `connect` threw last, when it is nothing to wait for, or when `timeoutMs` is over
 */
export async function connectWithin<T extends Closable>(
  what: string,
  connect: () => Promise<T>,
  options: { readonly timeoutMs: number; readonly log: Log; readonly signal: AbortSignal },
): Promise<T> {
  const { timeoutMs, log, signal } = options
  const started = Date.now()
  const seconds = () => Math.round((Date.now() - started) / 1000)
  for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
    try {
      return await connectOnce(what, connect(), Math.max(1, started + timeoutMs - Date.now()), signal)
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'UNREACHABLE' || signal.aborted) throw error
      if (Date.now() + pause > started + timeoutMs)
        throw new TidemarkError(
          'UNREACHABLE',
          `${messageOf(error)} (tried for ${seconds()} s; connectTimeout sets how long)`,
          { cause: error },
        )
      log.info({}, `waiting (${seconds()} of ${Math.round(timeoutMs / 1000)} s): ${messageOf(error)}`)
      await sleep(pause, undefined, { signal }).catch(() => {})
    }
  }
}
