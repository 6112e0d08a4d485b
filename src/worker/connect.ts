import { answerWithin, connectOnce } from '../client/deadline.js'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import { pauseFor } from '../model/pause.js'
import type { Log } from '../ports/index.js'

const firstPause = 250
const longestPause = 3_000

interface Closable {
  close(): Promise<unknown>
}

interface Waiting {
  readonly timeoutMs: number
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Tries until it works, and says so. An outage at start-up is nothing to end for: in a rolling deploy or after a power cut the
 * parts come up in any order. A wrong password or a missing topic is: waiting does not mend it.
 *
 * @param what for people: `Kafka at 127.0.0.1:9092`
 * @throws TidemarkError what `connect` threw last, when it is nothing to wait for, or when `timeoutMs` is over
 */
export function connectWithin<T extends Closable>(
  what: string,
  connect: () => Promise<T>,
  waiting: Waiting,
): Promise<T> {
  return tryWithin((leftMs) => connectOnce(what, connect(), leftMs, waiting.signal), waiting)
}

/** The same for a question to a part that is connected already: it may be gone a moment later. */
export function askWithin<T>(what: string, ask: () => Promise<T>, waiting: Waiting): Promise<T> {
  return tryWithin((leftMs) => answerWithin(what, ask(), leftMs, waiting.signal), waiting)
}

async function tryWithin<T>(attempt: (leftMs: number) => Promise<T>, { timeoutMs, log, signal }: Waiting): Promise<T> {
  const started = performance.now()
  const seconds = () => Math.round((performance.now() - started) / 1000)
  for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
    try {
      return await attempt(Math.max(1, started + timeoutMs - performance.now()))
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'UNREACHABLE' || signal.aborted) throw error
      if (performance.now() + pause > started + timeoutMs)
        throw new TidemarkError(
          'UNREACHABLE',
          `${messageOf(error)} (tried for ${seconds()} s; connectTimeout sets how long)`,
          { cause: error },
        )
      log.info({}, `waiting (${seconds()} of ${Math.round(timeoutMs / 1000)} s): ${messageOf(error)}`)
      await pauseFor(pause, signal)
    }
  }
}
