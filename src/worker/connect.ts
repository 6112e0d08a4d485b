import { setTimeout as sleep } from 'node:timers/promises'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import type { Log } from '../ports.js'

const firstPause = 250
const longestPause = 3_000

/**
 * Tries until it works. An outage at start-up is nothing to end for: in a rolling deploy or after a power cut the parts come
 * up in any order. A wrong password or a missing topic is: waiting does not mend it.
 *
 * @param what for people: `Kafka at 127.0.0.1:9092`
 * @throws TidemarkError what `connect` threw last, when it is nothing to wait for, or when `timeoutMs` is over
 */
export async function connectWithin<T>(
  what: string,
  connect: () => Promise<T>,
  options: { readonly timeoutMs: number; readonly log: Log; readonly signal: AbortSignal },
): Promise<T> {
  const started = Date.now()
  const until = started + options.timeoutMs
  for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
    try {
      return await connect()
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'UNREACHABLE' || options.signal.aborted) throw error
      const seconds = Math.round((Date.now() - started) / 1000)
      if (Date.now() + pause > until)
        throw new TidemarkError(
          'UNREACHABLE',
          `${messageOf(error)} (tried for ${seconds} s; connectTimeout sets how long)`,
          { cause: error },
        )
      options.log.info({ waitedSeconds: seconds, error: messageOf(error) }, `waiting for ${what}`)
      await sleep(pause, undefined, { signal: options.signal }).catch(() => {})
    }
  }
}
