import type { TidemarkConfig } from '../config/define.js'
import { parseConfig } from '../config/parse.js'
import type { WorkerContext } from './assemble.js'
import type { TidemarkWorker } from './worker.js'

export type { WorkerContext }

/**
 * Connects to everything the config names and makes a worker of it, which does nothing before `run`. Waits for parts that
 * are not up yet, for `connectTimeout`. Leaves nothing open when it rejects.
 *
 * @throws TidemarkError CONFIG_INVALID, AUTH_FAILED, STREAM_NOT_FOUND, SCHEMA_TOO_NEW; UNREACHABLE, also where the signal aborts;
 * GROUP_ACTIVE with `overwriteOffsets` where the other consumers are running; CONFIG_INVALID with `serve` where that can't be listened on
 */
export async function createWorker(config: TidemarkConfig, context: WorkerContext = {}): Promise<TidemarkWorker> {
  const parsed = parseConfig(config)
  // Half of Tidemark's start is the SDK's worker. Commands that only ask, and tests of a handler, load this file and never call it.
  const { assembleWorker } = await import('./assemble.js')
  return assembleWorker(parsed, context)
}
