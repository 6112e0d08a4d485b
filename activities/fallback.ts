import { batchQueue } from '../src/model/revision.js'
import { reporting } from './failure.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Answers a partition whose batch no worker took: goes on waiting while some worker has the wanted version (all its slots
 * are taken), else names the version of this worker, which is alive. So a deployment that was started and died does not stop
 * the group, while older workers are still there.
 */
export function createFallback({ cluster, settings, version, log, queues }: ConsumerRuntime) {
  return ({ wanted }: { readonly wanted: string }): Promise<{ version: string }> =>
    reporting(undefined, async () => {
      if (wanted === version || (await cluster.hasPollers(batchQueue(queues, wanted)))) return { version: wanted }
      const { group, stream } = settings
      log.warn(
        { group, stream, wanted, version },
        'no worker with the config in force is left; going on with an older one',
      )
      return { version }
    })
}
