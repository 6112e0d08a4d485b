import type { TidemarkConfig } from '../config/define.js'
import type { WorkerContext } from '../worker/create.js'
import type { TidemarkWorker } from '../worker/worker.js'

/**
 * Connects to everything the config names and makes a worker of it, which does nothing before `run`. Waits for parts that
 * are not up yet, for `connectTimeout`. Leaves nothing open when it rejects.
 *
 * @throws TidemarkError CONFIG_INVALID, AUTH_FAILED, STREAM_NOT_FOUND, SCHEMA_TOO_NEW; UNREACHABLE, also where the signal aborts;
 * GROUP_ACTIVE with `overwriteOffsets` where the other consumers are running; CONFIG_INVALID with `serve` where that can't be listened on
 */
export async function createWorker(config: TidemarkConfig, context: WorkerContext = {}): Promise<TidemarkWorker> {
  // The SDK's worker takes a while to load, which programs that only ask for something do without, and every config read by one.
  const { createWorker } = await import('../worker/create.js')
  return createWorker(config, context)
}
