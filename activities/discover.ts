import { setTimeout as sleep } from 'node:timers/promises'
import { Context } from '@temporalio/activity'
import type { DiscoverInput, Discovery } from '../src/model/batch.js'
import { messageOf } from '../src/model/errors.js'
import { partitionWorkflowId } from '../src/model/partition.js'
import { reporting } from './failure.js'
import { heartbeats } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/** How often the stream is asked for its partitions, ms. */
const lookEvery = 10_000
/** How long one discovery watches, ms; then the group also checks that every partition's workflow still runs. */
const watchFor = 10 * 60_000

/** Watches a stream for partitions the group does not know, and the group for partitions that do not run. */
export function createDiscover({ source, settings, cluster, draining, log }: ConsumerRuntime) {
  const { group, stream } = settings
  const idOf = (partition: number) => partitionWorkflowId({ group, stream, partition })

  async function missingOf(known: readonly number[]): Promise<number[]> {
    const gone = new Set(await cluster.notRunning(known.map(idOf)))
    return known.filter((partition) => gone.has(idOf(partition)))
  }

  return ({ known, verify }: DiscoverInput): Promise<Discovery> =>
    reporting(undefined, async () => {
      const signal = AbortSignal.any([Context.current().cancellationSignal, draining])
      const stop = heartbeats(settings.heartbeatTimeoutMs, () => ({ partitions: known.length }))
      const until = Date.now() + watchFor
      const old = new Set(known)
      try {
        if (verify) return { partitions: await source.partitions(), missing: await missingOf(known) }
        for (;;) {
          // An outage of the log is nothing to fail for: the group goes on with the partitions it knows.
          const partitions = await source.partitions().catch((error) => {
            if (known.length === 0) throw error
            log.warn({ group, stream, error: messageOf(error) }, 'could not look for added partitions')
            return known
          })
          if (partitions.some((partition) => !old.has(partition))) return { partitions, missing: [] }
          if (signal.aborted) return { partitions, missing: [] }
          if (Date.now() > until) return { partitions, missing: await missingOf(known) }
          await sleep(lookEvery, undefined, { signal }).catch(() => {})
        }
      } finally {
        stop()
      }
    })
}
