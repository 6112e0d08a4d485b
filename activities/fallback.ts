import { reporting } from './failure.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Answers a slice whose batch no worker took. A worker with the wanted version would have taken it, since workers have slots for more
 * batches than a group has slices; so the version of this worker, which is alive, goes on. A deployment that was started and died does
 * not stop the group, while older workers are still there. No clock of one machine is compared with that of another.
 */
export function createFallback({ settings, version, log, errors }: ConsumerRuntime) {
  return ({ wanted }: { readonly wanted: string }): Promise<{ version: string }> =>
    reporting(errors, async () => {
      const { group, stream } = settings
      if (wanted !== version)
        log.warn(
          { group, stream, wanted, version },
          'no worker with the config in force took a batch; going on with an older one until such a worker is back',
        )
      return { version }
    })
}
