import { setMaxListeners } from 'node:events'
import type { BatchResult, PartitionOutcome } from '../../src/model/batch.js'
import { names, type WakeCommand } from '../../src/model/commands.js'
import { type GroupName, sliceWorkflowId } from '../../src/model/partition.js'
import { pauseFor } from '../../src/model/pause.js'
import type { ConsumerRuntime } from '../runtime.js'

/** The group's poll looks at slices every 2 s. By then it watches this one, ms. */
const polledAfter = 3_000

/**
 * Wakes a slice for messages that come right after it came to rest, when the group's poll does not know yet that it rests. Never rejects:
 * what this misses, the poll finds.
 */
export async function watchFreshRest(
  { source, cluster, draining, log }: Pick<ConsumerRuntime, 'source' | 'cluster' | 'draining' | 'log'>,
  name: GroupName,
  slice: number,
  { partitions }: BatchResult,
): Promise<void> {
  const resting = partitions.filter(({ end }) => end === 'rest')
  if (resting.length === 0) return
  const end = new AbortController()
  // One of each partition.
  setMaxListeners(0, end.signal)
  const stop = () => end.abort()
  draining.addEventListener('abort', stop, { once: true })
  if (draining.aborted) stop()
  void pauseFor(polledAfter, end.signal).then(stop)
  const came = async ({ partition, to }: PartitionOutcome): Promise<WakeCommand> => {
    if (!(await source.waitForData(partition, BigInt(to), end.signal))) throw new Error('nothing came')
    return { partition, position: to }
  }
  try {
    // The slice may hear of it before its batch's result.
    await cluster.signal(sliceWorkflowId(name, slice), names.wake, await Promise.any(resting.map(came)))
  } catch (error) {
    if (!(error instanceof AggregateError))
      log.debug({ ...name, slice, error: String(error) }, 'could not wake a slice; the poll of the group does')
  } finally {
    stop()
    draining.removeEventListener('abort', stop)
  }
}
