import type { WorkerOptions } from '@temporalio/worker'
import type { ConsumerRuntime } from '../../activities/index.js'
import { batchQueue } from '../model/revision.js'
import type { TemporalCluster } from '../temporal/cluster.js'
import { FairSlots } from './fair-slots.js'

/** How often a worker counts the workers of its group at least and at most, ms; three times a batch as a rule. */
const [soonest, latest] = [1_000, 10_000]
/** For kinds of tasks that a worker of batches never gets. */
const unused = { type: 'fixed-size', numSlots: 1 } as const

type Sharer = Pick<ConsumerRuntime, 'settings' | 'queues' | 'version' | 'records'> & {
  readonly cluster: Pick<TemporalCluster, 'pollers'>
}

/**
 * How the worker of a consumer's batches shares them with its like. How many handlers they run is bounded by the consumer's
 * `concurrency`.
 *
 * @param identity the worker's name in Temporal
 */
export function sharedBatches(
  { settings, queues, version, records, cluster }: Sharer,
  identity: string,
): Pick<WorkerOptions, 'tuner' | 'interceptors'> {
  const { group, stream, batch } = settings
  const look = async () => {
    const [record, pollers] = await Promise.all([
      records.read({ group, stream }),
      cluster.pollers(batchQueue(queues, version)),
    ])
    return { slices: record?.slices ?? null, workers: new Set([...pollers, identity]).size }
  }
  const slots = new FairSlots(look, Math.min(latest, Math.max(soonest, batch.maxDurationMs / 3)))
  return {
    tuner: {
      activityTaskSlotSupplier: slots,
      workflowTaskSlotSupplier: unused,
      localActivityTaskSlotSupplier: unused,
      nexusTaskSlotSupplier: unused,
    },
    interceptors: {
      activity: [
        ({ info }) => ({
          inbound: {
            execute: (input, next) => {
              slots.waited(Date.now() - info.currentAttemptScheduledTimestampMs)
              return next(input)
            },
          },
        }),
      ],
    },
  }
}
