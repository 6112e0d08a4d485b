import type { OpenInput, OpenOutcome } from '../src/model/batch.js'
import { isTidemarkError, type TidemarkError } from '../src/model/errors.js'
import { pausesOf } from './enroll.js'
import { reporting } from './failure.js'
import { heartbeatingIfLong } from './heartbeat.js'
import { openPartition } from './opening/open-partition.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Takes ownership of partitions, side by side: stores and sources answer what is asked together with one request. A partition that a person
 * has paused is not opened, whatever the slice knows.
 */
export function createOpen(runtime: ConsumerRuntime) {
  const { settings, story } = runtime
  return ({ name, partitions }: OpenInput): Promise<readonly OpenOutcome[]> =>
    reporting(runtime.errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        const offsets = runtime.store.read(name.group, name.stream)
        offsets.catch(() => {})
        const record = await runtime.records.read(name)
        const pauses = record && pausesOf(record)
        const pauseOf = (partition: number) =>
          pauses?.partitions.find((pause) => pause.partition === partition) ?? pauses?.group ?? null
        const settled = await Promise.allSettled(
          partitions.map(async (request): Promise<OpenOutcome> => {
            const { partition } = request
            const note = pauseOf(partition)
            if (note) return { partition, outcome: 'paused', note }
            return { partition, outcome: 'owned', ...(await openPartition(runtime, name, request, offsets)) }
          }),
        )
        const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
        const lasting = (error: unknown): error is TidemarkError => isTidemarkError(error) && error.effect !== 'retry'
        // Nothing could be opened: the activity itself is retried, with a growing pause.
        const passing = failures.find((error) => !lasting(error))
        if (passing !== undefined && failures.length === partitions.length && !failures.some(lasting)) throw passing
        return settled.map((one, index): OpenOutcome => {
          const { partition } = partitions[index]!
          if (one.status === 'fulfilled') return one.value
          const key = { ...name, partition }
          const { text: reason } = runtime.errors.told(one.reason, partition)
          if (!lasting(one.reason)) {
            story.failed(key, one.reason, { offset: null, attempt: 1 })
            return { partition, outcome: 'failed', reason }
          }
          const { code, place } = one.reason
          const offset = place.offset === undefined ? null : BigInt(place.offset)
          story.blocked({ ...key, offset, code, message: reason }, one.reason)
          return { partition, outcome: 'blocked', reason }
        })
      }),
    )
}
