import { setMaxListeners } from 'node:events'
import type { BatchResult, PartitionOutcome } from '../../src/model/batch.js'
import { names } from '../../src/model/commands.js'
import { type GroupName, sliceWorkflowId } from '../../src/model/partition.js'
import { pauseFor } from '../../src/model/pause.js'
import type { ConsumerRuntime } from '../runtime.js'

/** The slice has to know that it rests before it can be woken, and its batch's result is still on the way, ms. */
const knownAfter = 100
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
  await pauseFor(knownAfter, draining)
  const end = new AbortController()
  // One of each partition.
  setMaxListeners(0, end.signal)
  const stop = () => end.abort()
  draining.addEventListener('abort', stop, { once: true })
  if (draining.aborted) stop()
  void pauseFor(polledAfter, end.signal).then(stop)
  const came = ({ partition, to }: PartitionOutcome) =>
    source.waitForData(partition, BigInt(to), end.signal).then((found) => {
      if (!found) throw new Error('nothing came')
    })
  try {
    await Promise.any(resting.map(came))
    await cluster.signal(sliceWorkflowId(name, slice), names.wake)
  } catch (error) {
    if (!(error instanceof AggregateError))
      log.debug({ ...name, slice, error: String(error) }, 'could not wake a slice; the poll of the group does')
  } finally {
    stop()
    draining.removeEventListener('abort', stop)
  }
}
