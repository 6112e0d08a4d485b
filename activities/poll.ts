import { Context } from '@temporalio/activity'
import type { Plan, PollInput } from '../src/model/batch.js'
import { outdatedOrGone } from './batch/identity.js'
import { reporting } from './failure.js'
import { heartbeats } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/** An idle partition costs one activity in so many ms. */
const longestWait = 60_000

/**
 * Waits until there is something to read. It heartbeats, so that messages for an idle partition whose worker has just
 * died wait for the heartbeat timeout and not for the end of this minute.
 */
export function createPoll({ source, settings, draining, keepOffset }: ConsumerRuntime) {
  return ({ key, position, identity }: PollInput): Promise<Plan> =>
    reporting(key, async () => {
      const stop = heartbeats(settings.heartbeatTimeoutMs, () => ({ waitingAt: position }))
      const signal = AbortSignal.any([Context.current().cancellationSignal, draining, AbortSignal.timeout(longestWait)])
      void keepOffset(key)
      try {
        // So a stream that is gone is noticed within a wait, though nothing comes that would have to be read.
        if (await outdatedOrGone(source, key.partition, identity, signal))
          return { from: position, found: false, reopen: true }
        return { from: position, found: await source.waitForData(key.partition, BigInt(position), signal) }
      } finally {
        stop()
      }
    })
}
